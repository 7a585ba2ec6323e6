"""Leases of hard quotas, as records tell of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import listed

from ..leases import KEPT_AFTER_END, KEPT_AFTER_START
from ..models import Lease, QuotaPool
from ..records import LeaseRecord

# A customer's row, a feature's code, and the start of the window.
PoolName = tuple[int, str, datetime | None]


def leases_of(tenant: Tenant, pools: Sequence[PoolName]) -> dict[PoolName, tuple[LeaseRecord, ...]]:
    """The leases of each window, in the order of their numbers; of those that have any."""
    asked = set(pools)
    found: dict[PoolName, list[LeaseRecord]] = defaultdict(list)
    rows = (
        Lease.objects.of(tenant)
        .filter(
            pool__customer__in=listed({customer for customer, _, _ in asked}),
            pool__window_start__in=listed({start for _, _, start in asked}),
        )
        .select_related("pool__feature")
        .order_by("pk")
    )
    for row in rows:
        name = (row.pool.customer_id, row.pool.feature.code, row.pool.window_start)
        if name in asked:
            found[name].append(lease_record(row))
    return {name: tuple(leases) for name, leases in found.items()}


def pools_over(tenant: Tenant, at: datetime) -> QuerySet[QuotaPool]:
    """Those of windows of which nothing can be asked any more."""
    return QuotaPool.objects.of(tenant).filter(
        window_end__lte=at - KEPT_AFTER_END, window_start__lte=at - KEPT_AFTER_START
    )


def lease_record(row: Lease, *, has_more: bool | None = None) -> LeaseRecord:
    return LeaseRecord(
        lease=row.pk,
        edge=row.edge,
        epoch=row.epoch,
        granted=row.granted,
        settled=row.settled,
        has_more=has_more,
        is_recalled=row.is_recalled,
    )
