"""Cycles: the billing calendar that an anchor and an interval lay out, in somebody's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from .periods import Period, month_later

INTERVAL_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
INTERVAL_DAYS = {"day": 1, "week": 7}
# What is billed by; nobody is billed by the day.
INTERVALS = ("week", *INTERVAL_MONTHS)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Boundaries at the anchor and every interval before and after it; they tile time without gap or overlap.

    interval: one of INTERVALS, or day. anchor: a local date; its day of month (and weekday) fixes the boundaries, clipped
    at month end and always counted from the anchor, so that the 31st does not drift to the 28th.
    at: local time of day of the boundaries.
    Where daylight saving skips a boundary's local time, the boundary is the moment of the change; where the time
    comes twice, the first.

    Cycle("month", date(2026, 1, 31), ZoneInfo("UTC")): 31 January, 28 February, 31 March, 30 April.
    """

    interval: str
    anchor: date
    zone: ZoneInfo
    at: time = time()

    def boundary(self, index: int) -> datetime:
        """Boundary *index* in UTC: 0 is the anchor, -1 the one before it."""
        return _instant(self.boundary_on(index), self.at, self.zone)

    def boundary_on(self, index: int) -> date:
        """The local date of boundary *index*."""
        if self.interval in INTERVAL_DAYS:
            return self.anchor + timedelta(days=index * INTERVAL_DAYS[self.interval])
        return month_later(self.anchor, index * INTERVAL_MONTHS[self.interval])

    def index_at(self, instant: datetime) -> int:
        """The index of the last boundary at or before the instant."""
        local = instant.astimezone(self.zone).date()
        if self.interval in INTERVAL_DAYS:
            index = (local - self.anchor).days // INTERVAL_DAYS[self.interval]
        else:
            months = (local.year - self.anchor.year) * 12 + local.month - self.anchor.month
            index = months // INTERVAL_MONTHS[self.interval]
        # The day, the time of day or a change of zone may put the boundary on the other side of the instant.
        while self.boundary(index) > instant:
            index -= 1
        while self.boundary(index + 1) <= instant:
            index += 1
        return index

    def period(self, index: int) -> Period:
        return Period(self.boundary(index), self.boundary(index + 1))

    def period_at(self, instant: datetime) -> Period:
        """The period that holds the instant.

        2026-03-15T12:00Z with anchor 2026-01-31 by month in UTC lies in [2026-02-28, 2026-03-31).
        """
        return self.period(self.index_at(instant))


def calendar_cycle(interval: str, on: date, zone: ZoneInfo) -> Cycle:
    """The calendar's own cycle: weeks from Monday, months from the 1st, half years in January and July."""
    if interval == "week":
        return Cycle(interval, on - timedelta(days=on.weekday()), zone)
    months = INTERVAL_MONTHS[interval]
    return Cycle(interval, date(on.year, (on.month - 1) // months * months + 1, 1), zone)


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Local days from start to end: a day belongs to whoever starts on it, so that parts add up to the whole.

    From 10 June 14:37 to 1 July is 21 days, and from 1 June to 10 June 14:37 is 9.
    """
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


def _instant(on: date, at: time, zone: ZoneInfo) -> datetime:
    # fold=0 reads a skipped local time with the offset before the change, which lands after it by the gap.
    local = datetime.combine(on, at, tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    return _change_before(instant, zone)


def _change_before(instant: datetime, zone: ZoneInfo) -> datetime:
    """The moment of the change of offset that skipped a local time: searched by halves, to the second."""
    early, late = instant - timedelta(days=1), instant
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)
