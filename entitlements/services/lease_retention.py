"""Retention of leases: what windows that are long over leave behind goes, once it can change no answer any more."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from ..models import Lease, Settlement
from ..selectors.leases import pools_over

# A call's work has an end; the rest is for the next one.
ROWS_AT_ONCE = 5_000
TIMES_MAX = 20


def leases_prune(*, tenant: Tenant) -> int:
    """Remove the pools of windows that are over, with their leases and settlements; returns how many pools went.

    Up to 100,000 rows of each a call, 5,000 a transaction. May run twice at once, and be killed at any point.
    """
    over = pools_over(tenant, now())
    # From below, so that no step takes more with it than it says.
    _remove(Settlement.objects.of(tenant).filter(lease__pool__in=over))
    _remove(Lease.objects.of(tenant).filter(pool__in=over, settlements=None))
    return _remove(over.filter(leases=None))


def _remove(rows: QuerySet) -> int:
    removed = 0
    for _ in range(TIMES_MAX):
        count, _ = rows.model.objects.filter(pk__in=rows.values("pk")[:ROWS_AT_ONCE]).delete()
        removed += count
        if count < ROWS_AT_ONCE:
            break
    return removed
