"""Months, zones and leap days in which others have billed twice, not at all, or for the wrong days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from aforo.kernel.cycles import Cycle
from aforo.kernel.decimals import total
from aforo.kernel.periods import Period
from billing.calculators.periods import periods
from billing.pipeline import run
from billing.proration import prorated, share
from tests.billing.pipeline.builders import calls, fee, hour, state, usage

pytestmark = pytest.mark.promise("P33")


def month_of(zone: ZoneInfo, year: int = 2026, month: int = 3) -> Period:
    return Cycle("month", date(year, month, 1), zone).period(0)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
)
def test_the_same_usage_is_the_same_invoice_in_every_zone(name):
    """March 2026 has 743 hours in Berlin and New York; a whole month is a whole fee there, too."""
    period = month_of(ZoneInfo(name))
    used = (usage(hour(1000, day=10), hour(500, day=29, hour=1)),)
    for basis in ("day", "second"):
        billed = run(
            state(fee("30", proration=basis), calls(), usage=used, period=period, cycle=period, zone=name)
        )
        # 30.00 + 1,500 x 0.01
        assert [line.amount for line in billed.lines] == [Decimal("30.00"), Decimal("15.00")]


def test_the_31st_comes_back_after_every_short_month():
    """An anchor on the 31st that was moved to 28 February stayed on the 28th."""
    cycle = Cycle("month", date(2027, 1, 31), ZoneInfo("UTC"))
    found = [cycle.boundary_on(index) for index in range(48)]
    assert [each.day for each in found[:14]] == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29]
    assert all(each.day == 31 or (each + timedelta(days=1)).day == 1 for each in found)
    assert len({(each.year, each.month) for each in found}) == 48


def test_a_leap_days_anniversary_is_the_28th_and_the_29th_again():
    cycle = Cycle("year", date(2028, 2, 29), ZoneInfo("UTC"))
    assert [str(cycle.boundary_on(index)) for index in range(5)] == [
        "2028-02-29",
        "2029-02-28",
        "2030-02-28",
        "2031-02-28",
        "2032-02-29",
    ]


@pytest.mark.parametrize(
    "name", ["Africa/Casablanca", "America/Asuncion", "Asia/Beirut", "Pacific/Apia", "Asia/Gaza"]
)
def test_months_end_where_the_next_begin_where_midnight_itself_is_skipped(name):
    """Kill Bill #445: a loop without end on a local time that does not exist."""
    cycle = Cycle("month", date(2010, 1, 31), ZoneInfo(name))
    found = [cycle.period(index) for index in range(240)]
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(timedelta(days=27) < each.end - each.start < timedelta(days=32) for each in found)


def test_the_hour_of_a_change_is_in_one_period_in_every_zone_there_is():
    """Each instant of the days around a month's end lies in one month, in all zones of the machine."""
    instants = [datetime(2026, 3, 30, 12, tzinfo=UTC) + timedelta(minutes=45 * step) for step in range(64)]
    names = sorted(available_timezones() - {"localtime"})
    assert len(names) > 400
    for name in names:
        cycle = Cycle("month", date(2026, 1, 1), ZoneInfo(name))
        march, april = cycle.period(2), cycle.period(3)
        assert march.end == april.start
        assert all((each in march) != (each in april) for each in instants), name


def test_parts_of_a_month_cost_the_month():
    """Start, upgrade and stop on the days of a change: the parts of 29.99 add up to it, by day and by second."""
    zone = ZoneInfo("America/New_York")
    whole = month_of(zone)
    cuts = [whole.start, *(datetime(2026, 3, day, 14, 37, 22, tzinfo=UTC) for day in (7, 8, 9)), whole.end]
    for basis in ("day", "second"):
        parts = [share(whole, Period(start, end), basis=basis, zone=zone) for start, end in pairwise(cuts)]
        assert sum(part for part, _ in parts) == parts[0][1]
        cost = total(prorated(Decimal("29.99"), *part) for part in parts)
        assert abs(cost - Decimal("29.99")) < Decimal("1E-20")


def test_a_share_is_of_the_period_it_lies_in():
    """10 days of February 2027, and 10 of March, are not the same share of a monthly fee."""
    listed = periods(
        {"anchor": "2027-02-01", "interval": "month", "count": 2, "timezone": "UTC", "start": "2027-02-19"}
    )["periods"]
    assert listed[0]["share"] == {"numerator": 10, "denominator": 28}
    assert listed[1]["share"] == {"numerator": 31, "denominator": 31}
