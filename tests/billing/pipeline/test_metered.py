from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from billing.pipeline import run
from billing.pipeline.metered import condensed, exceeded_in, metered, usage_of
from metering.aggregation import Aggregation, Sample, fold_all
from metering.meters import Conversion

from .builders import MARCH, D, at, calls, hour, state, usage


def test_a_charge_bills_the_hours_its_filters_let_in():
    hours = usage(hour(5, model="large"), hour(7, model="small"), hour(9, day=2, model="large"))
    charge = calls(filters=(("model", "large"),))
    assert metered(charge, usage_of(charge, (hours,)), MARCH).units == 14
    assert metered(calls(), usage_of(calls(), (hours,)), MARCH).units == 21
    assert usage_of(calls(), (usage(hour(5), meter="other"),)) == ()


def test_conversion_is_of_the_whole_and_not_of_each_hour():
    # 400 + 400 + 400 tokens are 1.2 thousands, begun 2; hour by hour it would be 3.
    charge = calls(conversion=Conversion("divide", D(1000), "up"))
    found = metered(charge, (hour(400), hour(400, day=2), hour(400, day=3)), MARCH)
    assert (found.aggregated, found.units, found.event_count) == (1200, 2, 1200)


def test_the_excess_lies_in_the_latest_hours():
    hours = (hour(900), hour(100, day=2), hour(3, day=3))
    assert exceeded_in(calls(), hours, MARCH, D(1000)) == at(3)
    assert exceeded_in(calls(), hours, MARCH, D(1003)) is None


@pytest.mark.promise("P41")
@pytest.mark.parametrize(
    ("aggregation", "units"),
    [
        ("COUNT", 6),
        ("SUM", 27),
        ("MAX", 9),
        ("MIN", 1),
        ("AVG", D("4.5")),
        ("LATEST", 9),
        ("UNIQUE", 4),
        ("PERCENTILE", 9),
    ],
)
def test_hours_in_any_order_finish_alike(aggregation, units):
    # 1, 2, 3 on the first day, 3, 9, 9 on the second: 6 values, 27 in all, 4 different ones, p95 at rank 6.
    values = [(1, "1"), (1, "2"), (1, "3"), (2, "3"), (2, "9"), (2, "9")]
    samples = [Sample(at(day, i), f"k{i}", Decimal(text), text) for i, (day, text) in enumerate(values)]
    hours = [
        replace(hour(0, sample.at.day, sample.at.hour), partial=fold_all((sample,), keeps_values=True))
        for sample in samples
    ]
    charge = calls(aggregation=Aggregation(aggregation), percentile=D(95))
    assert metered(charge, tuple(hours), MARCH).units == units
    assert metered(charge, tuple(reversed(hours)), MARCH).units == units


def test_condensed_usage_bills_the_same_bytes():
    charges = (calls(filters=(("model", "large"),)), calls(code="small", filters=(("model", "small"),)))
    month = usage(*(hour(n, day=n, model=("large", "small")[n % 2]) for n in range(1, 32)))
    short = condensed(month, charges)
    assert len(short.hours) == 2
    whole, brief = run(state(*charges, usage=(month,))), run(state(*charges, usage=(short,)))
    assert (whole.lines, whole.trace, whole.stage_hashes) == (brief.lines, brief.trace, brief.stage_hashes)


def test_a_quota_keeps_the_hours():
    month = usage(hour(1), hour(2, day=2))
    assert condensed(month, (calls(quota_units=D(1)),)) is month
