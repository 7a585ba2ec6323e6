"""Reconciliation of the edge: what the central site counts as used, against the usage that is billed.

Three numbers that must agree are read in three ways: the site's counter, the buckets that it was made of, and the events that
the buckets were made of. Usage of the last second may be in one and not yet in another; whoever asks again sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aforo.kernel.clock import now
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from ..records import milliseconds, units_text
from ..selectors.terms import FeatureTerms, feature_terms
from ..selectors.usage import Asked, used_by_events, used_of
from .central import central_store
from .store import Counted


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A customer's metered feature in its present window, in units of 10 to the minus places.

    billed: by the events. counted: by the buckets. site: as the site has it, None where it has no record of it. held: units
    admitted at the site that are not billed yet. drift: what does not agree, in sentences; empty where all does.
    """

    customer: str
    feature: str
    window: Period
    places: int
    billed: int
    counted: int
    site: int | None
    held: int
    drift: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReconciledPage:
    """rows: of so many customers as were asked for. next: the last of them where there are more, to be given as after."""

    rows: tuple[Reconciled, ...]
    next: str | None


def edge_reconcile_page(
    tenant: Tenant,
    *,
    count_max: int,
    customer: str | None = None,
    feature: str | None = None,
    after: str = "",
) -> ReconciledPage:
    """As `edge_reconcile`, of up to *count_max* customers by external_id, from the one that follows *after*.

    customer: external_id of the one that is asked for. feature: code. What nobody has has no rows.
    """
    customers = Customer.objects.of(tenant).filter(external_id__gt=after).order_by("external_id")
    if customer is not None:
        customers = customers.filter(external_id=customer)
    found = list(customers[: count_max + 1])
    page = found[:count_max]
    rows = edge_reconcile(tenant, page, feature=feature)
    return ReconciledPage(tuple(rows), page[-1].external_id if len(found) > len(page) else None)


def edge_reconcile(
    tenant: Tenant, customers: Sequence[Customer], *, feature: str | None = None
) -> list[Reconciled]:
    """Of each customer what it has metered, by name. Reads every event of the windows.

    feature: of this one alone, by its code. Raises redis.RedisError where the site does not answer.
    """
    terms = feature_terms(tenant, customers, now())
    metered = [
        (customer, code, of)
        for customer in customers
        for code, of in sorted(terms[customer.pk].features.items())
        if of.meter is not None and feature in (None, code)
    ]
    asked = [
        Asked(customer.pk, of.meter, of.window.period, of.feature.decimal_places)
        for customer, _, of in metered
    ]
    # The site first, which follows the others: what comes in meanwhile is drift of a moment, and not of more.
    names = [(customer.external_id, code) for customer, code, _ in metered]
    at_site = central_store().counted(tenant.path, names)
    by_buckets = used_of(tenant, asked)
    return [
        _reconciled(name, of, one, used_by_events(tenant, one), counted, site)
        for name, (_, _, of), one, counted, site in zip(
            names, metered, asked, by_buckets, at_site, strict=True
        )
    ]


def _reconciled(
    name: tuple[str, str], of: FeatureTerms, asked: Asked, billed: int, counted: int, site: Counted | None
) -> Reconciled:
    def text(units: int) -> str:
        return units_text(units, asked.places)

    drift = []
    if counted != billed:
        drift.append(f"The buckets say {text(counted)} and the events {text(billed)}.")
    if site is None:
        drift.append("The site has no record of it.")
    else:
        # The page of a window that slides turns at every moment.
        start_ms = None if of.window.resets_at is None else milliseconds(asked.window.start)
        if site.window_start_ms != start_ms:
            drift.append("The site counts another window.")
        elif site.used != billed:
            drift.append(f"The site says {text(site.used)} and the events {text(billed)}.")
    return Reconciled(
        customer=name[0],
        feature=name[1],
        window=asked.window,
        places=asked.places,
        billed=billed,
        counted=counted,
        site=None if site is None else site.used,
        held=0 if site is None else site.held,
        drift=tuple(drift),
    )
