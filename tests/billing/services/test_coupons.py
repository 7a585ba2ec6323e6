"""Coupons: made with one value, attached within their limits, also when many ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from aforo.kernel.errors import Problem
from billing.models import Coupon, CouponRedemption
from billing.services.coupons import coupon_attach, coupon_create
from billing.services.subscriptions import subscription_cancel
from tests import catalogs, workspaces

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    catalogs.subscribed(made.tenant)
    return made


def coupon(shop, code="welcome", **fields) -> Coupon:
    return coupon_create(
        **{
            "tenant": shop.tenant,
            "code": code,
            "name": "Welcome",
            "kind": "PERCENTAGE",
            "percent": "5",
            **fields,
        }
    )


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def test_attaching_twice_is_attaching_once(shop):
    coupon(shop, redemptions_max=1)
    first = coupon_attach(tenant=shop.tenant, coupon="welcome", subscription="sub-1")
    again = coupon_attach(tenant=shop.tenant, coupon="welcome", subscription="sub-1")

    assert first == again
    assert Coupon.objects.get().redemption_count == 1


def test_a_used_up_coupon_says_how_many_it_had(shop):
    coupon(shop, redemptions_max=1)
    catalogs.subscribed(shop.tenant, "sub-2")
    coupon_attach(tenant=shop.tenant, coupon="welcome", subscription="sub-1")

    problem = refused(coupon_attach, tenant=shop.tenant, coupon="welcome", subscription="sub-2")

    assert (problem.code, problem.facts) == ("state_conflict", {"count": 1, "limit": 1})


def test_a_limit_per_customer_counts_the_customers_subscriptions(shop):
    coupon(shop, redemptions_max_per_customer=2)
    workspaces.customer(shop.tenant, "cust_b")
    for code, customer in (("sub-2", "cust_abc"), ("sub-3", "cust_abc"), ("sub-4", "cust_b")):
        catalogs.subscribed(shop.tenant, code, customer=customer)
    for code in ("sub-1", "sub-2", "sub-4"):
        coupon_attach(tenant=shop.tenant, coupon="welcome", subscription=code)

    problem = refused(coupon_attach, tenant=shop.tenant, coupon="welcome", subscription="sub-3")

    assert problem.detail == "The customer 'cust_abc' has used the coupon 'welcome' up: 2 of 2."


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_exactly_the_limit_is_served(shop):
    # 12 connections ask in the same moment for the 5 redemptions that there are, two of them for one subscription.
    coupon(shop, redemptions_max=5)
    for number in range(2, 12):
        catalogs.subscribed(shop.tenant, f"sub-{number}")
    codes = [f"sub-{number}" for number in range(1, 12)] + ["sub-1"]
    start = Barrier(len(codes))

    def attach(code: str) -> str:
        try:
            start.wait(timeout=30)
            coupon_attach(tenant=shop.tenant, coupon="welcome", subscription=code)
        except Problem as problem:
            return problem.code
        finally:
            connections.close_all()
        return "attached"

    with ThreadPoolExecutor(len(codes)) as pool:
        answers = dict(zip(codes, pool.map(attach, codes), strict=True))

    assert CouponRedemption.objects.count() == 5
    assert Coupon.objects.get().redemption_count == 5
    assert sorted(answers.values()).count("state_conflict") == 6


def test_a_fixed_amount_is_of_the_subscriptions_currency(shop):
    coupon(shop, kind="FIXED_AMOUNT", percent=None, amount="10", currency="EUR")

    problem = refused(coupon_attach, tenant=shop.tenant, coupon="welcome", subscription="sub-1")

    assert list(problem.facts["errors"]) == ["currency"]


def test_an_ended_subscription_takes_no_coupon(shop):
    coupon(shop)
    subscription_cancel(tenant=shop.tenant, code="sub-1")

    problem = refused(coupon_attach, tenant=shop.tenant, coupon="welcome", subscription="sub-1")
    assert problem.code == "state_conflict"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"percent": None}, "row"),
        ({"percent": "101"}, "row"),
        ({"percent": "0"}, "row"),
        ({"amount": "5"}, "row"),
        ({"kind": "FIXED_AMOUNT"}, "row"),
        ({"kind": "FIXED_AMOUNT", "percent": None, "amount": "-5"}, "row"),
        ({"kind": "FIXED_AMOUNT", "percent": None, "amount": "0.005"}, "amount"),
        ({"kind": "FIXED_AMOUNT", "percent": None, "amount": "5.5", "currency": "JPY"}, "amount"),
        ({"kind": "GIFT"}, "kind"),
        ({"duration": "REPEATING"}, "row"),
        ({"duration": "REPEATING", "duration_periods": 0}, "row"),
        ({"duration": "ONCE", "duration_periods": 3}, "row"),
        ({"redemptions_max": -1}, "redemptions_max"),
    ],
)
def test_a_coupon_that_says_no_one_thing_is_refused(shop, fields, field):
    problem = refused(coupon, shop, **fields)

    assert problem.code == "input_invalid"
    assert field in problem.facts["errors"]
    assert not Coupon.objects.exists()


def test_coupon_and_subscription_are_of_one_tenant(shop):
    other = workspaces.workspace("other")
    coupon(other)

    problem = refused(coupon_attach, tenant=other.tenant, coupon="welcome", subscription="sub-1")
    assert problem.detail == "No subscription 'sub-1'."
    problem = refused(coupon_attach, tenant=shop.tenant, coupon="welcome", subscription="sub-1")
    assert problem.detail == "No coupon 'welcome'."
