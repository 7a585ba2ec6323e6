from __future__ import annotations

from dataclasses import replace

import pytest

from billing.pipeline.stages import aggregation
from billing.pipeline.state import MeterLevel, Quantity, QuotaCap
from billing.pricing.terms import Terms
from metering.aggregation import Aggregation, Partial, Sample, fold_all

from ..builders import D, at, calls, codes, fee, hour, state, usage


@pytest.mark.promise("P41")
def test_hours_add_up_to_one_quantity_under_the_cap():
    hours = (usage(hour(400), hour(500, day=2), hour(103, day=3)),)
    capped = aggregation.run(state(calls(), usage=hours, caps=(QuotaCap(charge="calls", units=D(1000)),)))
    assert capped.quantities == (Quantity(charge="calls", units=D(1000), event_count=1003),)
    assert aggregation.run(state(calls(), usage=hours)).quantities[0].units == 1003


def test_a_fee_has_no_quantity_and_no_usage_is_zero():
    assert aggregation.run(state(fee("1"), calls())).quantities == (
        Quantity(charge="calls", units=D(0), event_count=0),
    )


def test_a_level_goes_on_from_before_the_period():
    # 8 seats from February until 11 March, then 39: (10 x 8 + 21 x 39) / 31 days = 29.
    step = fold_all([Sample(at(11), "k", D(39), None)], keeps_values=True)
    seats = replace(
        usage(replace(hour(1, day=11), partial=step)),
        levels=(MeterLevel(at=at(1).replace(month=2), key="a", value=D(8), dimensions=()),),
    )
    metered = aggregation.run(state(calls(aggregation=Aggregation.WEIGHTED_SUM), usage=(seats,)))
    assert metered.quantities[0].units == 29


def test_less_than_nothing_is_nothing_and_said():
    negative = usage(replace(hour(1), partial=Partial(1, 1, D(-5))))
    below = aggregation.run(state(calls(aggregation=Aggregation.SUM), usage=(negative,)))
    assert below.quantities[0].units == 0
    assert codes(below) == ["quantity_below_zero"]


def test_usage_that_no_charge_prices_is_said():
    charge = calls(filters=(("model", "large"),))
    left = aggregation.run(state(charge, usage=(usage(hour(5, model="large"), hour(7, model="tiny")),)))
    (issue,) = left.issues
    assert issue.code == "usage_unpriced"
    assert issue.sentence == "api.call: 7 events that no charge prices (model=tiny)."


def test_events_without_a_price_are_said_where_the_price_is_theirs():
    # 4 events, 3 of them with a price, 4.00 in all.
    seen = usage(replace(hour(4), partial=Partial(4, 3, D(4))))
    dynamic = calls(terms=Terms(model="DYNAMIC"), aggregation=Aggregation.SUM)
    assert codes(aggregation.run(state(calls(aggregation=Aggregation.SUM), usage=(seen,)))) == []
    (issue,) = aggregation.run(state(dynamic, usage=(seen,))).issues
    assert (issue.severity, issue.code) == ("warning", "price_missing")
    assert issue.sentence == "Calls: 1 of 4 events carry no price; they are not billed."
