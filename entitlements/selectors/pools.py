"""Pools of hard quotas: how each is spread over the sites, and what each site holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Max, Sum, Value
from django.db.models.functions import Greatest

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from ..leases import Totals, unallocated
from ..models import Lease, QuotaPool
from .terms import CustomerTerms, FeatureTerms, feature_terms
from .usage import Asked, used_of


def is_leased(has: FeatureTerms) -> bool:
    """Hard, and counted in windows that end."""
    is_hard = has.limit is not None and has.in_force.limit_type == "hard"
    return is_hard and has.meter is not None and has.window.resets_at is not None


def quota_of(has: FeatureTerms) -> int:
    """The window's units of 10 to the minus places; 0 where there is no limit."""
    return 0 if has.limit is None else int(EXACT.scaleb(has.limit, has.feature.decimal_places))


def totals_of(lease: Lease) -> Totals:
    return Totals(lease.granted, lease.returned, lease.settled)


@dataclass(frozen=True, slots=True)
class PoolSpread:
    """How a pool is spread, in units of 10 to the minus places: billed + outstanding + unallocated = quota.

    quota, unallocated: None where the window has ended, or nothing limits the customer in it any more: then no site is
    handed anything. outstanding: handed to sites, and neither billed nor given back.
    """

    places: int
    billed: int
    outstanding: int
    quota: int | None = None
    unallocated: int | None = None


def pools_spread(tenant: Tenant, pools: Sequence[QuotaPool], at: datetime) -> dict[int, PoolSpread]:
    """How each pool is spread at an instant, by its row; a fixed number of queries.

    pools: with customer and feature.
    """
    terms = feature_terms(tenant, list({pool.customer_id: pool.customer for pool in pools}.values()), at)
    # The leases first: units that are billed meanwhile count twice for a moment, and never not at all.
    totals: dict[int, list[Totals]] = defaultdict(list)
    for lease in Lease.objects.of(tenant).filter(pool__in=[pool.pk for pool in pools]):
        totals[lease.pool_id].append(totals_of(lease))
    in_force = [_in_force(pool, terms[pool.customer_id]) for pool in pools]
    used = used_of(tenant, [_asked(pool, has) for pool, has in zip(pools, in_force, strict=True)])
    spread = {}
    for pool, has, billed in zip(pools, in_force, used, strict=True):
        outstanding = sum(one.outstanding for one in totals[pool.pk])
        places = pool.feature.decimal_places
        if has is None:
            spread[pool.pk] = PoolSpread(places, billed, outstanding)
        else:
            quota = quota_of(has)
            free = unallocated(quota, billed, totals[pool.pk])
            spread[pool.pk] = PoolSpread(places, billed, outstanding, quota, free)
    return spread


def _in_force(pool: QuotaPool, terms: CustomerTerms) -> FeatureTerms | None:
    """What the pool hands out from; None where its window has ended, or nothing limits it any more."""
    has = terms.features.get(pool.feature.code)
    is_present = has is not None and is_leased(has) and has.window.period.start == pool.window_start
    return has if is_present else None


def _asked(pool: QuotaPool, has: FeatureTerms | None) -> Asked:
    window = Period(pool.window_start, pool.window_end) if has is None else has.window.period
    return Asked(pool.customer_id, pool.feature.meter.meter(), window, pool.feature.decimal_places)


@dataclass(frozen=True, slots=True)
class SiteHolding:
    """What one life of a site's memory holds of a feature, over all customers whose window is open; units as PoolSpread's.

    is_present: the life in which the site last asked; of an earlier one what is outstanding is nobody's any more.
    """

    edge: str
    epoch: str
    is_present: bool
    feature: str
    places: int
    leases: int
    granted: int
    settled: int
    returned: int
    outstanding: int
    renewed_at: datetime


def site_holdings_of(tenant: Tenant, at: datetime, *, count_max: int) -> list[SiteHolding]:
    """By site, its present life first, and feature. count_max: of more, those that were renewed last."""
    rows = list(
        Lease.objects.of(tenant)
        .filter(pool__window_end__gt=at)
        .values("edge", "epoch", feature=F("pool__feature__code"), places=F("pool__feature__decimal_places"))
        .annotate(
            leases=Count("pk"),
            granted_units=Sum("granted"),
            settled_units=Sum("settled"),
            returned_units=Sum("returned"),
            outstanding=Sum(Greatest(Value(0), F("granted") - F("returned") - F("settled"))),
            last_at=Max("renewed_at"),
        )
        .order_by("-last_at")[:count_max]
    )
    present: dict[str, str] = {}
    for row in rows:
        present.setdefault(row["edge"], row["epoch"])
    holdings = [
        SiteHolding(
            edge=row["edge"],
            epoch=row["epoch"],
            is_present=present[row["edge"]] == row["epoch"],
            feature=row["feature"],
            places=row["places"],
            leases=row["leases"],
            granted=row["granted_units"],
            settled=row["settled_units"],
            returned=row["returned_units"],
            outstanding=row["outstanding"],
            renewed_at=row["last_at"],
        )
        for row in rows
    ]
    return sorted(holdings, key=lambda one: (one.edge, not one.is_present, one.epoch, one.feature))
