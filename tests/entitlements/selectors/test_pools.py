"""How a quota is spread over sites, and what each of them holds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.models import Tenant
from entitlements.models import Entitlement, Lease, QuotaPool
from entitlements.renewals import LeaseRequest
from entitlements.selectors.pools import PoolSpread, SiteHolding, pools_spread, site_holdings_of
from entitlements.services.entitlements import entitlement_create, entitlement_remove
from entitlements.services.features import feature_create
from entitlements.services.leases import leases_renew
from tests import workspaces
from tests.entitlements.edge.shops import metered, shop
from tests.workspaces import Workspace

pytestmark = pytest.mark.django_db

FEATURE = "advanced_ai_search"


@pytest.fixture
def acme() -> Workspace:
    return shop()


def renewed(tenant: Tenant, edge: str, epoch: str, feature: str = FEATURE, **said: int) -> Lease:
    request = LeaseRequest("cust_abc", feature, **said)
    (reply,) = leases_renew(tenant=tenant, edge=edge, epoch=epoch, requests=[request])
    return Lease.objects.get(pk=reply.lease.lease)


def spread(tenant: Tenant) -> PoolSpread:
    pool = QuotaPool.objects.select_related("customer", "feature__meter").get()
    return pools_spread(tenant, [pool], now())[pool.pk]


def test_billed_leases_and_what_nobody_has_add_up_to_the_quota(acme: Workspace):
    # A twentieth of the 450 that are left, and of the 428 after: 22 and 21. 1,000 - 550 - 43 = 407.
    assert renewed(acme.tenant, "berlin", "b1").granted == 22
    assert renewed(acme.tenant, "tokyo", "t1").granted == 21
    assert spread(acme.tenant) == PoolSpread(0, 550, 43, 1_000, 407)
    # 2 given back; two are used, of which one was reserved and moves from the lease to the bill.
    renewed(acme.tenant, "tokyo", "t1", have=0, returned=2)
    berlin = Lease.objects.get(edge="berlin")
    metered(acme, 1, properties={"reservation_id": f"{berlin.pk}.1.n"})
    metered(acme, 1)
    assert spread(acme.tenant) == PoolSpread(0, 552, 40, 1_000, 408)


def test_what_limits_nobody_any_more_has_no_quota(acme: Workspace):
    renewed(acme.tenant, "berlin", "b1")
    entitlement_remove(tenant=acme.tenant, actor="ada", entitlement_id=Entitlement.objects.get().pk)
    assert spread(acme.tenant) == PoolSpread(0, 550, 22, None, None)


def test_a_window_that_has_ended_keeps_its_bill_and_has_no_quota(acme: Workspace):
    renewed(acme.tenant, "berlin", "b1")
    pool = QuotaPool.objects.select_related("customer", "feature__meter").get()
    with clock_at(pool.window_end + timedelta(hours=1)):
        assert spread(acme.tenant) == PoolSpread(0, 550, 22, None, None)
        assert site_holdings_of(acme.tenant, now(), count_max=10) == []


def test_the_end_of_a_window_is_the_latest_that_was_said(acme: Workspace):
    renewed(acme.tenant, "berlin", "b1")
    end = QuotaPool.objects.get().window_end
    week = timedelta(days=7)
    for before, after in ((end - week, end), (end + week, end + week)):
        QuotaPool.objects.update(window_end=before)
        renewed(acme.tenant, "berlin", "b1", have=22)
        assert QuotaPool.objects.get().window_end == after
    # What is billed is counted in the window as it is now.
    assert spread(acme.tenant).billed == 550


def test_a_site_that_lost_its_memory_holds_what_nobody_has_any_more(acme: Workspace):
    renewed(acme.tenant, "berlin", "b1")
    renewed(acme.tenant, "berlin", "b2")
    renewed(acme.tenant, "tokyo", "t1")
    # Another feature of two places: 4.50 of 90.00 GB are a twentieth.
    workspaces.meter(acme.tenant, "gb", "SUM")
    feature_create(
        tenant=acme.tenant,
        actor="ada",
        code="storage",
        name="GB",
        kind="METERED",
        meter="gb",
        decimal_places=2,
    )
    entitlement_create(
        tenant=acme.tenant,
        actor="ada",
        feature="storage",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal(90),
    )
    renewed(acme.tenant, "tokyo", "t1", "storage")

    def told(one: SiteHolding) -> tuple[object, ...]:
        return one.edge, one.epoch, one.is_present, one.feature, one.places, one.outstanding

    assert [told(one) for one in site_holdings_of(acme.tenant, now(), count_max=10)] == [
        ("berlin", "b2", True, FEATURE, 0, 21),
        ("berlin", "b1", False, FEATURE, 0, 22),
        ("tokyo", "t1", True, FEATURE, 0, 20),
        ("tokyo", "t1", True, "storage", 2, 450),
    ]
    assert site_holdings_of(shop("other", used=0).tenant, now(), count_max=10) == []
