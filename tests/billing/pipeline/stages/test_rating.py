from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.kernel.periods import Period
from billing.pipeline.stages import rating
from billing.pipeline.state import BillableQuantity
from billing.pricing.terms import Terms, Tier

from ..builders import MARCH, D, at, calls, facts, fee, state

TIERS = (
    Tier(up_to=D(1000), unit_price=D("0.010")),
    Tier(up_to=D(10000), unit_price=D("0.008")),
    Tier(up_to=None, unit_price=D("0.005")),
)


def billable(units: int, charge: str = "calls") -> BillableQuantity:
    return BillableQuantity(charge=charge, metered=D(units), free=D(0), billable=D(units), event_count=units)


@pytest.mark.promise("P43")
def test_a_line_keeps_its_tiers_and_explains_each():
    graduated = calls(terms=Terms(model="GRADUATED", tiers=TIERS))
    rated = rating.run(state(graduated, billables=(billable(15000),)))
    (line,) = rated.lines
    assert (line.kind, line.amount, [row.amount for row in line.tiers]) == ("USAGE_FEE", 107, [10, 72, 25])
    assert [fact["amount"] for fact in facts(rated, "rating.tier")] == ["10", "72", "25"]


def test_a_line_is_rounded_once_and_keeps_the_exact_price():
    graduated = calls(terms=Terms(model="GRADUATED", tiers=TIERS))
    (line,) = rating.run(state(graduated, billables=(billable(10001),))).lines
    assert (line.unrounded, line.amount) == (D("82.005"), D("82.01"))
    (even,) = rating.run(state(graduated, billables=(billable(10001),), rounding="half_even")).lines
    assert even.amount == D("82.00")


def test_lines_stand_by_position():
    rated = rating.run(state(fee("1", "late", position=2), fee("1", "soon", position=1)))
    assert [line.code for line in rated.lines] == ["soon", "late"]


def test_a_charges_own_bounds_hold():
    low = rating.run(state(calls(minimum_amount=D(5)), billables=(billable(400),)))
    assert low.lines[0].amount == 5
    assert facts(low, "rating.minimum") == [{"gross": "4", "true_up": "1"}]
    high = rating.run(state(calls(maximum_amount=D(20)), billables=(billable(3000),)))
    assert high.lines[0].amount == 20
    assert facts(high, "rating.maximum") == [{"capped": "10", "amount": "20"}]


def test_a_fee_for_part_of_the_cycle_is_prorated_by_day():
    # 16 to 31 March: 16 of 31 days of 31.00.
    rated = rating.run(state(fee("31"), period=Period(at(16), MARCH.end)))
    (line,) = rated.lines
    assert (line.kind, line.amount, line.description) == ("PRORATION", 16, "Base (16 of 31 days)")


def test_a_fee_by_second_counts_the_hour_that_daylight_saving_takes():
    # March 2026 in Berlin has 743 hours, 71 of them from the 29th on.
    cycle = Period(datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))
    part = Period(datetime(2026, 3, 28, 23, tzinfo=UTC), cycle.end)
    rated = rating.run(state(fee("743", proration="second"), zone="Europe/Berlin", cycle=cycle, period=part))
    assert rated.lines[0].amount == 71


def test_usage_of_part_of_the_cycle_is_not_prorated():
    rated = rating.run(state(calls(), billables=(billable(100),), period=Period(at(16), MARCH.end)))
    assert (rated.lines[0].kind, rated.lines[0].amount) == ("USAGE_FEE", 1)


def test_a_fixed_fee_counts_the_events():
    # 3 payments of 100.00 in all: 2.5 % + 3 × 0.30.
    terms = Terms(model="PERCENTAGE", percent=D("2.5"), fixed_fee=D("0.30"))
    found = BillableQuantity(charge="calls", metered=D(100), free=D(0), billable=D(100), event_count=3)
    assert rating.run(state(calls(terms=terms), billables=(found,))).lines[0].amount == D("3.40")


@pytest.mark.parametrize(
    "terms",
    [
        Terms(model="BARTER"),
        Terms(model="GRADUATED", tiers=TIERS[:2]),
        Terms(model="PERCENTAGE", percent=D(1), max_per_transaction=D(1)),
    ],
)
def test_terms_that_cannot_be_priced_are_critical(terms):
    rated = rating.run(state(calls(terms=terms), billables=(billable(5),)))
    assert [(issue.severity, issue.code) for issue in rated.issues] == [("critical", "terms_invalid")]
    assert rated.is_blocked
