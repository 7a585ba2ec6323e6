from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.cycles import INTERVALS, Cycle, calendar_cycle, days_between
from aforo.kernel.periods import month_later

ZONES = [
    ZoneInfo(name)
    for name in [
        "UTC",
        "Asia/Kolkata",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "America/Havana",
        "Pacific/Kiritimati",
        "Asia/Gaza",
    ]
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_last_day_of_january_does_not_drift():
    cycle = Cycle("month", date(2026, 1, 31), ZoneInfo("UTC"))

    assert [cycle.boundary_on(i).isoformat() for i in range(4)] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]


def test_a_leap_day_anchor_returns_to_the_29th():
    cycle = Cycle("year", date(2024, 2, 29), ZoneInfo("UTC"))

    assert [cycle.boundary_on(i).isoformat() for i in (1, 4)] == ["2025-02-28", "2028-02-29"]


def test_quarters_are_counted_from_the_anchor():
    cycle = Cycle("quarter", date(2025, 11, 30), ZoneInfo("UTC"))

    assert [cycle.boundary_on(i).isoformat() for i in range(3)] == ["2025-11-30", "2026-02-28", "2026-05-30"]


def test_march_in_kolkata_starts_the_evening_before():
    period = Cycle("month", date(2026, 3, 1), ZoneInfo("Asia/Kolkata")).period(0)

    assert (period.start, period.end) == (utc("2026-02-28T18:30"), utc("2026-03-31T18:30"))


def test_a_boundary_that_daylight_saving_skips_is_the_moment_of_the_change():
    # New York goes from 02:00 to 03:00 on 8 March 2026, at 07:00Z; 02:30 does not exist.
    cycle = Cycle("week", date(2026, 3, 1), ZoneInfo("America/New_York"), at=time(2, 30))

    assert cycle.boundary(0) == utc("2026-03-01T07:30")
    assert cycle.boundary(1) == utc("2026-03-08T07:00")


def test_days_are_as_long_as_daylight_saving_makes_them():
    # Berlin's 29 March 2026 has 23 hours.
    cycle = Cycle("day", date(2026, 3, 28), ZoneInfo("Europe/Berlin"))

    assert [cycle.boundary(index) for index in (1, 2)] == [utc("2026-03-28T23:00"), utc("2026-03-29T22:00")]
    assert cycle.period_at(utc("2026-03-29T21:59")) == cycle.period(1)


def test_samoas_skipped_day_starts_where_the_next_one_does():
    # 30 December 2011 did not happen in Apia.
    cycle = Cycle("month", date(2011, 12, 30), ZoneInfo("Pacific/Apia"))

    assert cycle.boundary(0) == utc("2011-12-30T10:00")


@pytest.mark.parametrize(
    ("interval", "on", "start"),
    [
        ("week", date(2026, 3, 4), date(2026, 3, 2)),
        ("month", date(2026, 3, 4), date(2026, 3, 1)),
        ("quarter", date(2026, 6, 30), date(2026, 4, 1)),
        ("half_year", date(2026, 12, 31), date(2026, 7, 1)),
        ("year", date(2026, 12, 31), date(2026, 1, 1)),
    ],
)
def test_calendar_cycles_start_where_the_calendar_does(interval, on, start):
    assert calendar_cycle(interval, on, ZoneInfo("UTC")).anchor == start


def test_days_belong_to_whoever_starts_on_them():
    zone = ZoneInfo("UTC")
    first, change, last = utc("2026-06-01T00:00"), utc("2026-06-10T14:37"), utc("2026-07-01T00:00")

    assert days_between(first, change, zone) == 9
    assert days_between(change, last, zone) == 21


@given(
    st.sampled_from(INTERVALS),
    st.dates(date(2000, 1, 1), date(2060, 12, 31)),
    st.sampled_from(ZONES),
    st.times(),
    st.integers(-60, 60),
)
def test_periods_tile(interval, anchor, zone, at, index):
    cycle = Cycle(interval, anchor, zone, at=at.replace(microsecond=0))
    before, after = cycle.period(index), cycle.period(index + 1)

    assert before.start < before.end == after.start
    assert cycle.period_at(before.start) == before
    assert cycle.period_at(before.end - timedelta(microseconds=1)) == before


@given(st.dates(date(1970, 1, 1), date(2060, 12, 31)), st.integers(0, 240), st.integers(0, 240))
def test_counting_from_the_anchor_never_drifts(anchor, some, more):
    later = month_later(anchor, some + more)

    assert (later.year * 12 + later.month) - (anchor.year * 12 + anchor.month) == some + more
    assert later.day <= anchor.day
