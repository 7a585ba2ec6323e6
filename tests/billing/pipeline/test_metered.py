from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aforo.kernel.periods import Period
from billing.pipeline import run
from billing.pipeline.metered import condensed, cuts_of, exceeded_in, metered, usage_of
from billing.pipeline.state import Span
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


# --- spans


def held(*days: int) -> tuple[Span, ...]:
    """held(1, 11, 21, 31): from the 1st to the 11th and from the 21st to the 31st."""
    return tuple(Span(period=Period(at(a), at(b))) for a, b in zip(days[::2], days[1::2], strict=True))


def level(value: str, day: int) -> Sample:
    return Sample(at(day), f"k{day}", D(value), value)


def levels(*samples: Sample):
    return tuple(
        replace(hour(0, sample.at.day), partial=fold_all((sample,), keeps_values=True)) for sample in samples
    )


def test_only_what_lies_in_a_span_is_counted_and_its_end_belongs_to_what_follows():
    hours = (hour(1, day=9), hour(10, day=10), hour(100, day=11), hour(1000, day=21))
    found = metered(calls(spans=held(10, 11, 21, 22)), hours, MARCH)
    assert (found.units, found.event_count) == (1010, 1010)


def test_the_parts_of_a_level_held_under_two_plans_add_up_to_the_whole():
    # 8 seats from before, 20 from 21 March; 31 days. Upgraded on the 11th:
    # 8 × 10/31 under the first plan, (8 × 10 + 20 × 11)/31 under the second, (8 × 20 + 20 × 11)/31 in all.
    hours = levels(level("20", 21))
    seats = calls(aggregation=Aggregation.WEIGHTED_SUM)
    first, second = (replace(seats, spans=held(*days)) for days in ((1, 11), (11, 31)))
    last_day = replace(seats, spans=(Span(period=Period(at(31), MARCH.end)),))
    parts = [metered(each, hours, MARCH, D(8)).units for each in (first, second, last_day)]
    assert [round(each * 31, 20) for each in parts] == [80, 8 * 10 + 20 * 10, 20]
    assert abs(sum(parts) - metered(seats, hours, MARCH, D(8)).units) < D("1e-20")


def test_a_level_begins_a_span_as_it_stood_then_also_where_it_was_set_in_a_pause():
    # Set to 5 in the pause of the 11th to the 21st, held again for 10 of 31 days.
    seats = calls(aggregation=Aggregation.WEIGHTED_SUM, spans=held(21, 31))
    assert round(metered(seats, levels(level("5", 15)), MARCH, D(8)).units * 31, 20) == 50
    assert exceeded_in(seats, levels(level("5", 15)), MARCH, D(2), D(8)) is None
    assert exceeded_in(seats, levels(level("50", 15)), MARCH, D(5), D(8)) == at(15)


def test_condensed_usage_keeps_the_spans_apart_and_bills_the_same():
    hours = usage(*(hour(day, day=day, hour=h) for day in (5, 10, 11, 25) for h in (3, 4)))
    charges = (calls(spans=held(1, 11)), calls(code="pro", spans=held(11, 31)))
    short = condensed(hours, charges)
    assert (len(short.hours), cuts_of(charges)) == (2, (at(1), at(11), at(31)))
    for charge in charges:
        assert metered(charge, usage_of(charge, (short,)), MARCH) == metered(
            charge, usage_of(charge, (hours,)), MARCH
        )


def test_usage_of_a_gap_is_free_on_purpose_and_no_issue():
    pair = state(calls(spans=held(10, 31)), usage=(usage(hour(7, day=5), hour(2, day=15)),))
    assert ([line.quantity for line in run(pair).lines], run(pair).issues) == ([2], ())
