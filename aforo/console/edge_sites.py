"""The sites of the edge: whether records are made, whether the central site is whole, who follows, and who holds what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from redis import RedisError

from aforo.kernel.clock import now
from aforo.outbox.selectors import fact_oldest_at
from aforo.tenancy.admin.columns import ago
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import api_keys_for
from entitlements.decision import STALE_AFTER_MS
from entitlements.edge.central import central_store
from entitlements.edge.followers import followers_of
from entitlements.records import units_text
from entitlements.selectors.pools import SiteHolding, site_holdings_of
from entitlements.selectors.publishing import publisher_state, records_counted, version_last
from entitlements.services.touched import TOUCHED

STALE_S = STALE_AFTER_MS / 1000
# All is made anew every 30 s, and with very many customers in several times that.
REPAIR_LATE_S = 300
HOLDINGS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """is_wrong: somebody has to act."""

    title: str
    value: str
    note: str
    is_wrong: bool = False


def edge_sites_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("entitlements.view_quotapool"):
        raise PermissionDenied
    tenant = tenant_of_request(request)
    context = {
        **admin.site.each_context(request),
        "title": "Edge sites",
        "figures": [*_publisher(), _central(), *([_records(tenant)] if tenant else [])],
        "followers": _followers(tenant) if tenant else [],
        "holdings": [_row(one) for one in _holdings(tenant)] if tenant else [],
        "holdings_shown": HOLDINGS_SHOWN,
    }
    return TemplateResponse(request, "console/edge_sites.html", context)


def _publisher() -> Iterator[Figure]:
    state, waiting_since = publisher_state(), fact_oldest_at(TOUCHED)
    if state is None:
        note = "manage.py publisher makes the records that sites decide by; make run starts it."
        yield Figure("Publisher", "never ran", note, is_wrong=True)
        return
    silent_s = _age_s(state.turned_at)
    waits = f"a change waits for {_age_s(waiting_since):.1f} s" if waiting_since else "no change waits"
    is_silent = silent_s > STALE_S
    yield Figure(
        "Publisher",
        "silent" if is_silent else "works",
        f"last turn {_age(state.turned_at)}, {waits}",
        is_wrong=is_silent,
    )
    repaired_s = None if state.repaired_at is None else _age_s(state.repaired_at)
    yield Figure(
        "Last repair",
        _age(state.repaired_at),
        f"{state.repairs:,} repairs, which found {state.repaired:,} records wrong or missing",
        is_wrong=repaired_s is None or repaired_s > REPAIR_LATE_S,
    )


def _central() -> Figure:
    title = "Central site"
    try:
        meta = central_store().meta()
    except RedisError:
        return Figure(title, "does not answer", "its Redis, at REDIS_URL, is away", is_wrong=True)
    if meta.synced_at_ms is None:
        return Figure(title, "empty", "no publisher has filled it yet", is_wrong=True)
    heard_at = datetime.fromtimestamp(meta.synced_at_ms / 1000, UTC)
    is_stale = _age_s(heard_at) > STALE_S
    last = max(version_last(), meta.cursor)
    return Figure(
        title,
        "not complete" if not meta.is_complete else "stale" if is_stale else "complete",
        f"heard the store {_age(heard_at)}, is at version {meta.cursor:,} of {last:,}",
        is_wrong=is_stale or not meta.is_complete,
    )


def _records(tenant: Tenant) -> Figure:
    counted = records_counted(tenant)
    note = ", ".join(f"{count:,} of {kind}s" for kind, count in counted.items() if kind != "tenant")
    return Figure("Records of the tenant", f"{sum(counted.values()):,}", note or "none is made yet")


def _followers(tenant: Tenant) -> list[dict[str, Any]]:
    """The keys that followed the feed of late, the one that is silent for longest first."""
    try:
        followers = followers_of(tenant)
    except RedisError:
        return []
    keys = api_keys_for(tenant).filter(pk__in=followers)
    rows = [(followers[str(key.pk)], key) for key in keys]
    return [
        {"key": key, "age": _age(at), "is_late": _age_s(at) > STALE_S}
        for at, key in sorted(rows, key=lambda row: row[0])
    ]


def _holdings(tenant: Tenant) -> list[SiteHolding]:
    return site_holdings_of(tenant, now(), count_max=HOLDINGS_SHOWN)


def _row(one: SiteHolding) -> dict[str, Any]:
    figures = (one.granted, one.settled, one.returned, one.outstanding)
    return {
        "holding": one,
        "age": _age(one.renewed_at),
        "figures": [units_text(units, one.places) for units in figures],
    }


def _age_s(at: datetime) -> float:
    return max(0.0, (now() - at).total_seconds())


def _age(at: datetime | None) -> str:
    """In seconds with a tenth for the last minute: 0.4 s ago."""
    return f"{age_s:.1f} s ago" if at is not None and (age_s := _age_s(at)) < 60 else ago(at)
