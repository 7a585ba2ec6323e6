"""Windows: in which span of time a limit counts, and when it starts anew.

BILLING    the subscription's billing period; the calendar month where there is no subscription
CALENDAR   the hour, day, week, month, quarter, half year or year, in the customer's zone
FIXED      so many seconds, counted from the entitlement's start
SLIDING    the last so many seconds, at every moment
NONE       for ever: nothing starts anew
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import calendar_cycle
from aforo.kernel.periods import Period, local_midnight

WindowKind = Literal["BILLING", "CALENDAR", "FIXED", "SLIDING", "NONE"]
UNITS = ("hour", "day", "week", "month", "quarter", "half_year", "year")
HOUR = timedelta(hours=1)
# Before anything was metered.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# A window that never ends is counted up to here.
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """unit: of UNITS, for CALENDAR. length_s: for FIXED and SLIDING. anchor: from which FIXED windows are counted."""

    kind: WindowKind = "BILLING"
    unit: str = ""
    length_s: int = 0
    anchor: datetime = BEGINNING


@dataclass(frozen=True, slots=True)
class Span:
    """Where usage counts at an instant. resets_at: its end; None where nothing starts anew. next_resets_at: the end after."""

    period: Period
    resets_at: datetime | None = None
    next_resets_at: datetime | None = None


def span_at(window: Window, at: datetime, zone: ZoneInfo, billing: tuple[datetime, ...] = ()) -> Span:
    """The window's span at an instant.

    billing: the boundaries of the subscription's periods around it, in order; for BILLING.

    By day in Asia/Kolkata, 2026-03-01T20:00Z lies in [2026-03-01T18:30Z, 2026-03-02T18:30Z).
    """
    if window.kind == "BILLING":
        place = bisect_right(billing, at)
        if 0 < place < len(billing):
            return _span(
                billing[place - 1], billing[place], billing[place + 1] if place + 1 < len(billing) else None
            )
    return _span_of_all(window, at, zone)


# Customers are asked about in hundreds, and at the same instant; most of them have the same windows.
@lru_cache(maxsize=1_000)
def _span_of_all(window: Window, at: datetime, zone: ZoneInfo) -> Span:
    match window.kind:
        case "SLIDING":
            return Span(Period(at - timedelta(seconds=window.length_s), at))
        case "NONE":
            return Span(Period(BEGINNING, END_OF_TIME))
        case "FIXED":
            length = timedelta(seconds=window.length_s)
            start = window.anchor + (at - window.anchor) // length * length
            return _span(start, start + length, start + 2 * length)
        case "BILLING":
            return _calendar("month", at, zone)
        case "CALENDAR":
            return _calendar(window.unit, at, zone)


def _calendar(unit: str, at: datetime, zone: ZoneInfo) -> Span:
    local = at.astimezone(zone)
    if unit == "hour":
        # Whole hours of UTC, as usage is kept.
        start = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return _span(start, start + HOUR, start + 2 * HOUR)
    if unit == "day":
        first = local.date()
        days = [local_midnight(first + timedelta(days=count), zone) for count in range(3)]
        return _span(*days)
    cycle = calendar_cycle(unit, local.date(), zone)
    index = cycle.index_at(at)
    return _span(cycle.boundary(index), cycle.boundary(index + 1), cycle.boundary(index + 2))


def _span(start: datetime, end: datetime, next_end: datetime | None) -> Span:
    return Span(Period(start, end), end, next_end)
