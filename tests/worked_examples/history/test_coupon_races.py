"""A coupon that many attach at once: its limit holds, and all of its limit can be had."""

from __future__ import annotations

import pytest

from billing.models import Coupon, CouponRedemption
from billing.services.coupons import coupon_attach, coupon_create
from tests import catalogs
from tests.workspaces import customer, workspace

from .test_wallet_races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

THREADS = 6


@pytest.mark.parametrize(
    ("limits", "served"),
    [
        ({"redemptions_max": 1}, 1),
        ({"redemptions_max": THREADS}, THREADS),
        ({"redemptions_max_per_customer": 1}, 3),
        ({}, THREADS),
    ],
    ids=["one in all", "one for each who asks", "one a customer, of three", "no limit"],
)
def test_of_six_at_once_as_many_are_served_as_the_limit_says(limits, served):
    tenant = workspace().tenant
    catalogs.on_sale(tenant)
    customers = ["cust_abc", *(customer(tenant, name).external_id for name in ("cust_b", "cust_c"))]
    for number in range(THREADS):
        catalogs.subscribed(tenant, f"sub-{number}", customer=customers[number % 3])
    coupon_create(tenant=tenant, code="welcome", name="Welcome", kind="PERCENTAGE", percent="5", **limits)

    def attach(number: int) -> str:
        return coupon_attach(tenant=tenant, coupon="welcome", subscription=f"sub-{number}").coupon.code

    answers = at_once(THREADS, attach, threads=THREADS)

    assert (answers.count("welcome"), answers.count("state_conflict")) == (served, THREADS - served)
    assert CouponRedemption.objects.count() == Coupon.objects.get().redemption_count == served
