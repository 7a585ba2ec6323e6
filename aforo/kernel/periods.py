"""Periods: half-open spans of time, cut at midnight in somebody's time zone, that tile without gap or overlap."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class NaiveInstant(ValueError):
    """A datetime without a zone; it names no instant."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The instants from start (inclusive) to end (exclusive), both aware and kept in UTC.

    Raises NaiveInstant, or ValueError where the end lies before the start.

    March 2026 in Asia/Kolkata is [2026-02-28T18:30Z, 2026-03-31T18:30Z).
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            instant = getattr(self, name)
            if instant.tzinfo is None:
                raise NaiveInstant(f"{name} {instant.isoformat()} has no zone")
            object.__setattr__(self, name, instant.astimezone(UTC))
        if self.end < self.start:
            raise ValueError(f"a period cannot end ({self.end}) before it starts ({self.start})")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def overlap(self, other: Period) -> Period | None:
        """The part both share, or None where they only touch or lie apart."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def __str__(self) -> str:
        return f"[{instant_text(self.start)}, {instant_text(self.end)})"


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with Z; fractions only where there are any: 2026-03-01T00:00:00Z."""
    if instant.tzinfo is None:
        raise NaiveInstant(f"{instant.isoformat()} has no zone")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local_midnight(on: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC.

    Where daylight saving skips midnight this is the moment of the change; where midnight comes twice, the first.
    """
    # fold=0 reads a skipped midnight with the offset before the change, which is the change itself.
    return datetime.combine(on, time(), tzinfo=zone).astimezone(UTC)


def days_of(period: Period, zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last local day of a period that is not empty.

    [2026-02-28T18:30Z, 2026-03-31T18:30Z) in Asia/Kolkata: 1 March and 31 March.
    """
    last = period.end - timedelta.resolution
    return period.start.astimezone(zone).date(), last.astimezone(zone).date()


def last_day(period: Period, zone: ZoneInfo) -> date:
    """The period's last local day: it puts the period into a bill run's window, and its tax rates hold."""
    return days_of(period, zone)[1]


def month_later(anchor: date, months: int) -> date:
    """The anchor's day so many months later, clipped at month end; always counted from the anchor.

    31 January + 1 is 28 February and + 2 is 31 March: counting from the anchor, the day does not drift.
    """
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(anchor.day, calendar.monthrange(year, month + 1)[1]))


def calendar_month(text: str, zone: ZoneInfo) -> Period:
    """The calendar month written as YYYY-MM, in the zone.

    Raises ValueError with a sentence for anything else.
    """
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError(f"{text!r} is no month; write it like 2026-03") from None
    return Period(local_midnight(first, zone), local_midnight(month_later(first, 1), zone))
