"""Leases of hard quotas, as records tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aforo.tenancy.models import Tenant

from ..records import LeaseRecord

# A customer's row, a feature's code, and the start of the window.
PoolName = tuple[int, str, datetime | None]


def leases_of(tenant: Tenant, pools: Sequence[PoolName]) -> dict[PoolName, tuple[LeaseRecord, ...]]:
    """The leases of each window, in the order of their numbers; of those that have any."""
    return {}
