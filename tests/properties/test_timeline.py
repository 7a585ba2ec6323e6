"""What is true of every timeline: its parts add up to the whole, and its periods tile and do not drift."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.cycles import Cycle
from aforo.kernel.decimals import total
from aforo.kernel.periods import Period
from billing.pipeline import run
from billing.pipeline.metered import metered
from billing.pipeline.state import Span
from tests.billing.pipeline.builders import calls, fee, hour, state

zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
intervals = st.sampled_from(["month", "quarter", "year"])
anchors = st.dates(date(2019, 1, 1), date(2028, 12, 31))
amounts = st.decimals(0, 10**6, places=2)


@st.composite
def tiled(draw) -> tuple[str, Period, tuple[Span, ...]]:
    """A zone, a cycle of it, and spans that meet and cover it."""
    zone, interval = draw(zones), draw(intervals)
    cycle = Cycle(interval, draw(anchors), ZoneInfo(zone)).period(draw(st.integers(0, 5)))
    length_s = int((cycle.end - cycle.start).total_seconds())
    cuts = sorted(draw(st.sets(st.integers(1, length_s - 1), max_size=5)))
    edges = [cycle.start, *(cycle.start + timedelta(seconds=cut) for cut in cuts), cycle.end]
    spans = tuple(Span(period=Period(a, b)) for a, b in pairwise(edges))
    return zone, cycle, spans


@given(tiled(), amounts, st.sampled_from(["day", "second"]))
def test_the_parts_of_a_fee_add_up_to_it_at_any_basis_zone_and_interval(tiling, amount, basis):
    zone, cycle, spans = tiling
    lines = run(
        state(fee(str(amount), spans=spans, proration=basis), zone=zone, cycle=cycle, period=cycle),
        until="rating",
    ).lines
    assert abs(total(line.unrounded for line in lines) - amount) < Decimal("1e-20")
    # Each line is rounded once, by half a cent at most.
    assert abs(total(line.amount for line in lines) - amount) <= Decimal("0.005") * len(lines)


@given(tiled())
def test_every_instant_of_usage_is_in_exactly_one_part(tiling):
    _, cycle, spans = tiling
    hours = [
        Period(at, at + timedelta(seconds=1))
        for span in spans
        for at in (span.period.start, span.period.end - timedelta(seconds=1))
    ]
    used = tuple(hour_at(each.start) for each in hours)
    parts = [metered(calls(spans=(span,)), used, cycle).event_count for span in spans]
    assert sum(parts) == len(used)


def hour_at(at: datetime):
    made = hour(1)
    return type(made)(hour=at, dimensions=made.dimensions, partial=made.partial)


@given(zones, intervals, st.integers(29, 31), st.integers(1, 12), st.integers(2019, 2028))
def test_an_anchor_at_month_end_never_drifts_over_four_years(zone, interval, day, month, year):
    last = [31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    anchor = date(year, month, min(day, last))
    cycle = Cycle(interval, anchor, ZoneInfo(zone))
    count = {"month": 48, "quarter": 16, "year": 4}[interval]
    periods = [cycle.period(index) for index in range(count)]
    assert all(a.end == b.start for a, b in pairwise(periods))
    for index, period in enumerate(periods):
        on = cycle.boundary_on(index)
        # The anchor's day, or the month's last where it has no such day.
        assert on.day == anchor.day or (on + timedelta(days=1)).day == 1
        assert cycle.index_at(period.start) == cycle.index_at(period.end - timedelta(microseconds=1)) == index
    assert cycle.boundary_on(count) == cycle.boundary_on(0).replace(year=year + 4)


@given(zones, intervals, anchors, st.integers(0, 14 * 366 * 86_400))
def test_every_instant_is_in_exactly_one_period(zone, interval, anchor, second):
    instant = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    cycle = Cycle(interval, anchor, ZoneInfo(zone))
    index = cycle.index_at(instant)
    assert [instant in cycle.period(each) for each in (index - 1, index, index + 1)] == [False, True, False]
