"""Windows by hand: zones, cuts, and what comes after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.periods import Period
from entitlements.leases import KEPT_AFTER_START
from entitlements.windows import UNITS, Window, span_at

KOLKATA, UTC_ZONE = ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "start", "end", "next_end"),
    [
        ("hour", "2026-03-01T20:00", "2026-03-01T21:00", "2026-03-01T22:00"),
        # Midnight in Kolkata is 18:30 in UTC.
        ("day", "2026-03-01T18:30", "2026-03-02T18:30", "2026-03-03T18:30"),
        ("month", "2026-02-28T18:30", "2026-03-31T18:30", "2026-04-30T18:30"),
        ("quarter", "2025-12-31T18:30", "2026-03-31T18:30", "2026-06-30T18:30"),
        # 1 March 2026 is a Sunday, 2 March 01:30 in Kolkata a Monday.
        ("week", "2026-03-01T18:30", "2026-03-08T18:30", "2026-03-15T18:30"),
    ],
)
def test_a_calendar_window_is_cut_in_the_customers_zone(unit, start, end, next_end):
    span = span_at(Window("CALENDAR", unit), at("2026-03-01T20:00"), KOLKATA)
    assert (span.period, span.resets_at, span.next_resets_at) == (
        Period(at(start), at(end)),
        at(end),
        at(next_end),
    )


def test_a_billing_window_is_the_subscriptions_period_and_the_month_where_there_is_none():
    billing = (at("2026-02-15T00:00"), at("2026-03-15T00:00"), at("2026-04-15T00:00"))
    span = span_at(Window(), at("2026-03-14T23:59"), UTC_ZONE, billing)
    assert (span.period, span.resets_at, span.next_resets_at) == (Period(*billing[:2]), *billing[1:])
    # A boundary belongs to the period that it begins; nobody knows of one after.
    span = span_at(Window(), at("2026-03-15T00:00"), UTC_ZONE, billing)
    assert (span.period, span.next_resets_at) == (Period(*billing[1:]), None)
    # Before the first, after the last, and without any.
    for moment, known in (
        ("2026-02-14T23:59", billing),
        ("2026-04-15T00:00", billing),
        ("2026-03-15T00:00", ()),
    ):
        end = {"02": "2026-03-01", "03": "2026-04-01", "04": "2026-05-01"}[moment[5:7]]
        assert span_at(Window(), at(moment), UTC_ZONE, known).resets_at == at(f"{end}T00:00")


def test_fixed_sliding_and_for_ever():
    # Ten minutes each from 12:05 on.
    fixed = span_at(
        Window("FIXED", length_s=600, anchor=at("2026-03-01T12:05")), at("2026-03-01T12:31"), UTC_ZONE
    )
    assert fixed.period == Period(at("2026-03-01T12:25"), at("2026-03-01T12:35"))
    sliding = span_at(Window("SLIDING", length_s=3_600), at("2026-03-01T12:31"), UTC_ZONE)
    assert (sliding.period.start, sliding.resets_at) == (at("2026-03-01T11:31"), None)
    assert span_at(Window("NONE"), at("2026-03-01T12:31"), UTC_ZONE).resets_at is None


@given(
    st.integers(1_577_836_800, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from(UNITS),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Chatham"]),
)
def test_windows_tile(moment, unit, zone):
    """Each moment lies in its window, and the next window begins where it ends."""
    window = Window("CALENDAR", unit)
    span = span_at(window, moment, ZoneInfo(zone))
    assert moment in span.period
    following = span_at(window, span.resets_at, ZoneInfo(zone))
    assert following.period == Period(span.resets_at, span.next_resets_at)
    assert span_at(window, span.resets_at - timedelta.resolution, ZoneInfo(zone)).period == span.period


@given(
    st.integers(1_577_836_800, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from(UNITS),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia"]),
)
def test_no_window_of_the_calendar_still_runs_when_its_leases_may_go(moment, unit, zone):
    assert span_at(Window("CALENDAR", unit), moment, ZoneInfo(zone)).period.start > moment - KEPT_AFTER_START
