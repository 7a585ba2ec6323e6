"""Revenue of any window: the rating of its usage, and its share of fees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.decimals import total
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from billing.models import Charge
from billing.services.invoices import current_usage
from billing.services.revenue import Revenue
from tests.billing.builders import MARCH, a_fee, a_subscription, tampering, used
from tests.workspaces import Workspace, customer, workspace

D = Decimal
# 0.010 to 1,000 calls, 0.008 to 10,000, then 0.005.
TIERS = (("1000", "0.010"), ("10000", "0.008"), (None, "0.005"))


@pytest.fixture
def acme(db: None) -> Workspace:
    made = workspace()
    made.meter.aggregation = "SUM"
    made.meter.save()
    return made


def calls(acme: Workspace) -> dict[str, object]:
    tiers = [(None if up_to is None else D(up_to), D(price)) for up_to, price in TIERS]
    return {"code": "calls", "model": "GRADUATED", "meter": acme.meter, "tiers": tiers}


def earned(acme: Workspace, *windows: Period) -> list[Decimal]:
    (found,) = Revenue().accrued(acme.tenant, [(acme.customer, windows)])
    assert not isinstance(found, Problem)
    return [each.get("USD", D(0)) for each in found]


def day(number: int, count: int = 1) -> Period:
    start = datetime(2026, 3, number, tzinfo=UTC)
    return Period(start, start + timedelta(days=count))


def test_each_day_earns_what_its_usage_adds_at_the_tiers_it_reaches(acme: Workspace):
    a_subscription(acme.customer, calls(acme))
    used(acme.customer, acme.meter, "1000", datetime(2026, 3, 10, 8, tzinfo=UTC))
    used(acme.customer, acme.meter, "9000", datetime(2026, 3, 11, 8, tzinfo=UTC))
    used(acme.customer, acme.meter, "5000", datetime(2026, 3, 12, 8, tzinfo=UTC))
    # 15,000 calls: 10.00 + 72.00 + 25.00, each on the day that reached its tier.
    assert earned(acme, day(10), day(11), day(12), day(13), MARCH) == [10, 72, 25, 0, 107]
    with clock_at(datetime(2026, 3, 20, tzinfo=UTC)):
        rated = current_usage(tenant=acme.tenant, subscription_code="sub_1")
    assert total(line.amount for line in rated.lines) == D("107.00")


def test_windows_that_follow_each_other_earn_what_the_whole_does(acme: Workspace):
    a_subscription(acme.customer, calls(acme), a_fee("31.00"))
    for number in (3, 9, 21):
        used(acme.customer, acme.meter, str(number * 700), datetime(2026, 3, number, 13, tzinfo=UTC))
    days = earned(acme, *(day(number) for number in range(1, 32)))
    (month,) = earned(acme, MARCH)
    assert sum(days) == pytest.approx(month, abs=D("1e-40"))
    # 31.00 over 31 days, and 23,100 calls: 10 + 72 + 65.50.
    assert days[0] == 1
    assert month == D("178.50")


def test_a_window_over_two_periods_earns_of_both_from_the_first_tier_on_each(acme: Workspace):
    a_subscription(acme.customer, calls(acme))
    used(acme.customer, acme.meter, "1500", datetime(2026, 2, 20, tzinfo=UTC))
    used(acme.customer, acme.meter, "1500", datetime(2026, 3, 20, tzinfo=UTC))
    whole = Period(datetime(2026, 2, 15, tzinfo=UTC), datetime(2026, 3, 25, tzinfo=UTC))
    # Twice 1,000 at 0.010 and 500 at 0.008.
    assert earned(acme, whole) == [28]


def test_a_fee_in_advance_is_earned_in_its_own_period(acme: Workspace):
    a_subscription(acme.customer, a_fee("31.00", timing="ADVANCE"))
    assert earned(acme, MARCH, day(5)) == [31, 1]


def test_a_customer_without_a_subscription_earns_nothing(acme: Workspace):
    assert earned(acme, MARCH) == [0]


def test_two_subscriptions_add_up_and_one_that_starts_later_earns_from_then_on(acme: Workspace):
    a_subscription(acme.customer, a_fee("31.00"))
    a_subscription(acme.customer, a_fee("16.00"), code="sub_2", starts_at=datetime(2026, 3, 16, tzinfo=UTC))
    # From 16 March on the second one's share: 16.00 x 16/31 days over 16 days.
    (first, last) = earned(acme, day(1), day(31))
    assert first == 1
    assert last == pytest.approx(1 + D("16.00") / 31, abs=D("0.001"))


def test_what_cannot_be_rated_is_said(acme: Workspace):
    a_subscription(acme.customer, calls(acme))
    # Without its tiers, as no form leaves it.
    with tampering():
        Charge.objects.get(code="calls").tiers.all().delete()
    used(acme.customer, acme.meter, "5", datetime(2026, 3, 20, tzinfo=UTC))
    other = customer(acme.tenant, "other")
    a_subscription(other, a_fee("31.00"), code="sub_2")
    refused, fine = Revenue().accrued(acme.tenant, [(acme.customer, [MARCH]), (other, [MARCH])])
    assert isinstance(refused, Problem)
    assert fine == [{"USD": D("31.00")}]
