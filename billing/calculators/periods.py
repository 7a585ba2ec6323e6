"""`manage.py periods`: the billing calendar of an anchor, as the pipeline cuts it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import INTERVALS, Cycle, calendar_cycle
from aforo.kernel.periods import Period, instant_text, local_midnight

from ..proration import share
from . import fields

KNOWN = {"anchor", "interval", "count", "until", "start", "end", "timezone", "calendar"}
PERIODS_MAX = 10_000


def periods(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"anchor", "interval", "count" | "until", "start", "end", "timezone", "calendar"} -> {"periods": […]}.

    anchor: a local date, or an instant, which keeps its local time of day; it fixes the boundaries.
    interval: week, month, quarter, half_year or year. calendar: the calendar's own boundaries instead.
    count: how many periods (default 12); until: instead, every period that starts on or before it.
    start, end: cut the first and the last period. Dates are local; timezone default UTC.
    Each period has start, end and share: its days over the days of the whole period.
    Raises Problem fields_missing or field_invalid.

    Anchor 2026-01-31 by month: [31 January, 28 February), [28 February, 31 March), …
    """
    row = fields.object_of(request, "the request", known=KNOWN, required={"anchor", "interval"})
    zone = fields.zone(row.get("timezone") or "UTC")
    interval = fields.choice(row["interval"], "interval", INTERVALS)
    anchor = fields.date_or_instant(row["anchor"], "anchor")
    is_calendar = fields.flag(row.get("calendar", False), "calendar")
    start = _instant_or_none(row, "start", zone)
    end = _instant_or_none(row, "end", zone)
    until = _instant_or_none(row, "until", zone)
    count = (
        None if until is not None else fields.whole(row.get("count", 12), "count", least=1, most=PERIODS_MAX)
    )
    for name, limit in (("end", end), ("until", until)):
        if start is not None and limit is not None and start > limit:
            raise fields.invalid("start", f"lies after {name}")

    cycle = _cycle(interval, anchor, zone, is_calendar=is_calendar)
    anchor_at = _instant(anchor, zone)
    index = cycle.index_at(anchor_at if start is None else start)
    listed: list[dict[str, Any]] = []
    while count is None or len(listed) < count:
        whole = cycle.period(index)
        first = whole.start if start is None else max(whole.start, start)
        last = whole.end if end is None else min(whole.end, end)
        if first >= last or (until is not None and first > until):
            break
        if len(listed) == PERIODS_MAX:
            raise fields.invalid("until", f"asks for more than {PERIODS_MAX} periods")
        listed.append(_row(whole, Period(first, last), zone))
        index += 1
    return {"periods": listed}


def _cycle(interval: str, anchor: date | datetime, zone: ZoneInfo, *, is_calendar: bool) -> Cycle:
    local = anchor.astimezone(zone) if isinstance(anchor, datetime) else None
    on = local.date() if local else anchor
    if is_calendar:
        return calendar_cycle(interval, on, zone)
    return Cycle(interval, on, zone, at=local.time() if local else time())


def _instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    return value if isinstance(value, datetime) else local_midnight(value, zone)


def _instant_or_none(row: Mapping[str, Any], name: str, zone: ZoneInfo) -> datetime | None:
    value = row.get(name)
    return None if value is None else _instant(fields.date_or_instant(value, name), zone)


def _row(whole: Period, part: Period, zone: ZoneInfo) -> dict[str, Any]:
    numerator, denominator = share(whole, part, basis="day", zone=zone)
    return {
        "start": instant_text(part.start),
        "end": instant_text(part.end),
        "share": {"numerator": numerator, "denominator": denominator},
    }
