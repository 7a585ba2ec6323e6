"""What windows that are long over leave behind goes; what could change an answer stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aforo.kernel.clock import clock_at, now
from entitlements.models import Lease, QuotaPool, Settlement
from entitlements.renewals import LeaseRequest
from entitlements.services.lease_retention import leases_prune
from entitlements.services.leases import leases_renew, reservations_settled
from entitlements.tasks import leases_prune_all
from tests.entitlements.edge.shops import limited
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def acme():
    made = workspace()
    limited(made, "search", 1_000, window="CALENDAR", window_unit="day")
    return made


def renewed(acme, have: int = 0, edge: str = "berlin") -> int:
    """What a site is granted in all, which knows of *have*."""
    (reply,) = leases_renew(
        tenant=acme.tenant,
        edge=edge,
        epoch="e1",
        requests=[LeaseRequest("cust_abc", "search", have=have, returned=0)],
    )
    return reply.lease.granted


def settled(acme, lease: int, nonce: str = "n1") -> None:
    reservations_settled(tenant_id=acme.tenant.pk, reservations=[(acme.customer.pk, f"{lease}.5.{nonce}")])


def left() -> tuple[int, int, int]:
    return QuotaPool.objects.count(), Lease.objects.count(), Settlement.objects.count()


def test_what_is_long_over_goes_with_everything_and_changes_no_answer(acme):
    long_ago = now() - 400 * DAY
    with clock_at(long_ago):
        renewed(acme)
        settled(acme, Lease.objects.get().pk)
    old = Lease.objects.get()
    granted = renewed(acme)
    settled(acme, Lease.objects.latest("pk").pk, "n2")
    assert left() == (2, 2, 2)

    before = renewed(acme, have=granted)
    assert leases_prune(tenant=acme.tenant) == 1
    assert left() == (1, 1, 1)
    # Today's window goes on as it was: the units that were out are still out, what was settled is not settled again.
    assert renewed(acme) == before
    settled(acme, Lease.objects.get().pk, "n2")
    assert Lease.objects.get().settled == 5
    # An event that names a reservation of the window that is gone moves nothing.
    settled(acme, old.pk)
    assert left() == (1, 1, 1)
    assert leases_prune(tenant=acme.tenant) == 0


@pytest.mark.parametrize(
    ("start", "end", "is_kept"),
    [
        # Over for 92 days, but a window that began with it could run still.
        (200, 92, True),
        # Of a year that began long ago, events come still.
        (440, 90, True),
        (440, 92, False),
        # Runs still: two years.
        (700, -30, True),
    ],
)
def test_a_pool_stays_while_anything_may_ask_for_it(acme, start, end, is_kept):
    renewed(acme)
    QuotaPool.objects.update(window_start=now() - start * DAY, window_end=now() - end * DAY)
    leases_prune(tenant=acme.tenant)
    assert left() == ((1, 1, 0) if is_kept else (0, 0, 0))


def test_every_tenants_are_pruned_by_beat_in_pieces(acme, monkeypatch):
    monkeypatch.setattr("entitlements.services.lease_retention.ROWS_AT_ONCE", 2)
    renewed(acme)
    lease = Lease.objects.get()
    for number in range(5):
        settled(acme, lease.pk, f"n{number}")
    QuotaPool.objects.update(window_start=now() - 400 * DAY, window_end=now() - 399 * DAY)
    other = workspace("other")
    leases_prune(tenant=other.tenant)
    assert left() == (1, 1, 5)
    leases_prune_all()
    assert left() == (0, 0, 0)
