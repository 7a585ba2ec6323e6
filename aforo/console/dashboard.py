"""The home page: what is going on in the tenant, measured now, and what to do next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from aforo.kernel.clock import now
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import api_keys_for, customers_for
from billing.selectors.bill_runs import bill_runs_for
from billing.selectors.catalog import offerings_for, products_for, rate_plans_for
from billing.selectors.invoices import invoices_for
from billing.selectors.subscriptions import subscriptions_for
from metering.backlog import backlogs
from metering.conservation import conservation_for
from metering.log import shard_of
from metering.selectors.dead_letter_growth import growth_for
from metering.selectors.dead_letters import dead_letters_for
from metering.selectors.meters import meters_for
from metering.selectors.tallies import tallies_for

DAYS_SHOWN = 14


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the home page, with the page behind it."""

    title: str
    value: str
    note: str
    link: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step from nothing to an invoice. link: where to do it."""

    title: str
    note: str
    is_done: bool
    link: str


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's hook: the home page's context."""
    tenant = tenant_of_request(request)
    if tenant is None:
        return {**context, "title": "Home", "tenant_add": reverse("admin:tenancy_tenant_add")}
    steps = list(_steps(tenant))
    return {
        **context,
        "title": "Home",
        "figures": list(_figures(tenant)),
        "chart": _chart(tenant),
        "conservation": conservation_for(tenant),
        "growth": growth_for(tenant),
        "steps": [] if all(step.is_done for step in steps) else steps,
        "steps_done": sum(step.is_done for step in steps),
    }


def _figures(tenant: Tenant) -> Iterator[Figure]:
    today = now().date()
    received = conservation_for(tenant, first_on=today, last_on=today)
    late = f"{received.late:,} of them late" if received.late else "counted by the writer, UTC"
    yield Figure("Events today", f"{received.received:,}", late, reverse("console-events"))
    keys = Counter(key.state for key in api_keys_for(tenant))
    in_use = keys["ACTIVE"] + keys["TEST"]
    yield Figure("API keys in use", f"{in_use:,}", f"{keys['REVOKED']:,} revoked", _list("tenancy_apikey"))
    letters = dead_letters_for(tenant, status="NEW").count()
    held = dead_letters_for(tenant, status="HELD").count()
    waits = "wait for a replay" if letters else "nothing waits"
    yield Figure(
        "Dead letters open",
        f"{letters:,}",
        f"{waits}, {held:,} held" if held else waits,
        _list("metering_deadletter") + "?status__exact=NEW",
    )
    yield _log_figure(tenant)
    statuses = Counter(invoices_for(tenant).values_list("status", flat=True))
    said = ", ".join(f"{count:,} {status.lower()}" for status, count in statuses.most_common())
    yield Figure("Invoices", f"{statuses.total():,}", said or "none yet", _list("billing_invoice"))


def _log_figure(tenant: Tenant) -> Figure:
    """How far the writer of the tenant's shard is behind."""
    one = backlogs()[shard_of(tenant.pk)]
    if one.behind_s is None:
        value, note = "does not answer", "events go to the store meanwhile"
    elif one.entries or one.rows:
        value = f"{one.behind_s:,.0f} s behind"
        note = f"{(one.entries or 0) + one.rows:,} waiting" + ("" if one.writer else "; no writer runs")
    else:
        value, note = "Up to date", "all that arrived is counted" if one.writer else "no writer runs"
    if one.set_aside:
        note += f"; {one.set_aside:,} set aside"
    return Figure("Event log", value, note, reverse("console-events"))


def _chart(tenant: Tenant) -> dict[str, str]:
    """Events accepted and refused on each of the last days, for Chart.js."""
    today = now().date()
    days = [today - timedelta(days=back) for back in range(DAYS_SHOWN - 1, -1, -1)]
    counted = {tally.day: tally for tally in tallies_for(tenant, first_on=days[0])}
    bars = (("Accepted", "accepted", "var(--color-primary-600)"), ("Dead letters", "dead_letters", "#f97316"))
    return {
        "data": json.dumps(
            {
                "labels": [f"{day:%d %b}" for day in days],
                "datasets": [
                    {
                        "label": label,
                        "data": [getattr(counted.get(day), column, 0) for day in days],
                        "backgroundColor": colour,
                    }
                    for label, column, colour in bars
                ],
            }
        ),
        "options": json.dumps(
            {
                "responsive": True,
                "maintainAspectRatio": False,
                "scales": {
                    "x": {"stacked": True, "grid": {"display": False}},
                    "y": {"stacked": True, "beginAtZero": True, "ticks": {"precision": 0}},
                },
                "plugins": {"legend": {"display": True, "position": "bottom"}},
            }
        ),
    }


def _steps(tenant: Tenant) -> Iterator[Step]:
    """From nothing to an invoice, in order."""
    key = api_keys_for(tenant).exists()
    yield Step(
        "Make a meter",
        "What you count: calls, tokens, bytes.",
        *_there(meters_for(tenant), "metering_meterrow"),
    )
    yield Step("Make a customer", "Whom you bill.", *_there(customers_for(tenant), "tenancy_customer"))
    yield Step("Make an API key", "A gateway or SDK sends events with it.", key, _new("tenancy_apikey"))
    yield Step("Make a product", "What you sell.", *_there(products_for(tenant), "billing_product"))
    yield Step(
        "Publish a rate plan",
        "A price list: charges with tiers, then publish its first version.",
        rate_plans_for(tenant).filter(versions__status="PUBLISHED").exists(),
        _list("billing_rateplan"),
    )
    yield Step("Make an offering", "What customers buy.", *_there(offerings_for(tenant), "billing_offering"))
    yield Step(
        "Subscribe a customer",
        "From then on usage costs.",
        *_there(subscriptions_for(tenant), "billing_subscription"),
    )
    yield Step(
        "Start a bill run", "Makes the month's invoices.", *_there(bill_runs_for(tenant), "billing_billrun")
    )


def _there(rows: QuerySet, page: str) -> tuple[bool, str]:
    return rows.exists(), _new(page)


def _list(page: str) -> str:
    return reverse(f"admin:{page}_changelist")


def _new(page: str) -> str:
    return reverse(f"admin:{page}_add")
