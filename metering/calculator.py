"""`manage.py aggregate`: events and a meter's terms to a quantity, by the meters' and intake's own code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import trimmed
from aforo.kernel.periods import Period, instant_text, local_midnight, month_later
from aforo.kernel.texts import storable

from . import fields
from .aggregation import ZERO, Aggregation, Sample, finish, fold_all
from .event import UsageEvent
from .intake.timestamp import NoInstant, instant_of
from .meters import GROUP_BY_MAX, Meter, dimensions_of, feeds, kind_of, sample_of

KNOWN = (
    "aggregation",
    "property",
    "period",
    "filters",
    "group_by",
    "window",
    "conversion",
    "percentile",
    "initial",
    "events",
)
SIZES = ("hour", "day", "month")
WINDOWS_MAX = 100_000


class _Terms:
    """A request, read: the meter, and over what its quantity is taken."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        row = fields.object_of(request, "the request", known=KNOWN, required=("aggregation", "events"))
        self.meter = Meter(
            id=0,
            key="",
            event_name="",
            aggregation=Aggregation(fields.choice(row["aggregation"], "aggregation", tuple(Aggregation))),
            value_property=fields.text(row["property"], "property") if row.get("property") else "quantity",
            filters=fields.list_of(row.get("filters"), "filters", fields.filter_of),
            group_by=fields.list_of(row.get("group_by"), "group_by", fields.text),
            percentile=fields.percentile(row.get("percentile")),
            conversion=fields.conversion(row.get("conversion")),
        )
        if len(self.meter.group_by) > GROUP_BY_MAX:
            raise fields.invalid("group_by", f"has more than {GROUP_BY_MAX} dimensions")
        self.period = None if row.get("period") is None else fields.period(row["period"])
        self.initial = ZERO if row.get("initial") is None else fields.number(row["initial"], "initial")
        self.starts = None if row.get("window") is None else self._starts(row["window"])
        self.events = fields.list_of(row["events"], "events", _event)
        if self.meter.aggregation is Aggregation.PERCENTILE and self.meter.percentile is None:
            raise fields.missing("percentile")
        if self.meter.aggregation is Aggregation.WEIGHTED_SUM and self.period is None:
            raise fields.missing("period")

    def _starts(self, value: Any) -> list[datetime]:
        row = fields.object_of(value, "window", known=("size", "timezone"), required=("size",))
        size = fields.choice(row["size"], "window.size", SIZES)
        zone = fields.zone(row.get("timezone") or "UTC", "window.timezone")
        if self.period is None:
            raise fields.missing("period")
        starts: list[datetime] = []
        for start in window_starts(self.period, size, zone):
            if len(starts) == WINDOWS_MAX:
                raise fields.invalid("window", f"cuts the period into more than {WINDOWS_MAX:,} windows")
            starts.append(start)
        return starts


def aggregate(request: Mapping[str, Any]) -> dict[str, Any]:
    """One request of `manage.py aggregate` (docs/metering/aggregation.md has its shape) to its answer.

    Returns {"quantity"}, {"windows": [{"start", "quantity"}]}, or {"groups": [{"by", "quantity" | "windows"}]};
    quantities are decimal text. Every window of the period is listed, also one without events; the first is
    cut at the period's start. Groups are those that events have, in order of their values.
    Raises Problem: fields_missing, field_invalid.

    SUM of quantities 1.5 and 2 is {"quantity": "3.5"}.
    """
    terms = _Terms(request)
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for event in terms.events:
        is_inside = terms.period is None or event.timestamp in terms.period
        if is_inside and feeds(terms.meter, event):
            groups.setdefault(dimensions_of(terms.meter, event), []).append(sample_of(terms.meter, event))
    if terms.meter.group_by:
        return {
            "groups": [
                {"by": {storable(name): storable(text) for name, text in by}, **_answer(terms, groups[by])}
                for by in sorted(groups)
            ]
        }
    return _answer(terms, groups.get((), []))


def window_starts(period: Period, size: str, zone: ZoneInfo) -> Iterator[datetime]:
    """Where the windows of a period start, in UTC: at its own start, then at each local hour, day or month.

    A day of daylight saving has 23 or 25 hours, each once.
    """
    at = period.start
    while at < period.end:
        yield at
        at = _next_start(at, size, zone)


def _next_start(at: datetime, size: str, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    if size == "hour":
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return at + timedelta(hours=1) - past
    if size == "month":
        return local_midnight(month_later(local.date().replace(day=1), 1), zone)
    return local_midnight(local.date() + timedelta(days=1), zone)


def _answer(terms: _Terms, samples: list[Sample]) -> dict[str, Any]:
    if terms.starts is None or terms.period is None:
        return {"quantity": _quantity(terms, samples, terms.period, terms.initial)}
    inside: list[list[Sample]] = [[] for _ in terms.starts]
    for sample in sorted(samples, key=lambda sample: (sample.at, sample.key)):
        inside[bisect_right(terms.starts, sample.at) - 1].append(sample)
    windows = []
    level = terms.initial
    for index, start in enumerate(terms.starts):
        end = terms.starts[index + 1] if index + 1 < len(terms.starts) else terms.period.end
        quantity = _quantity(terms, inside[index], Period(start, end), level)
        windows.append({"start": instant_text(start), "quantity": quantity})
        # A level lasts beyond its window.
        level = next((s.value for s in reversed(inside[index]) if s.value is not None), level)
    return {"windows": windows}


def _quantity(terms: _Terms, samples: list[Sample], period: Period | None, initial: Decimal) -> str:
    meter = terms.meter
    partial = fold_all(samples, keeps_values=True)
    quantity = finish(meter.aggregation, partial, percentile=meter.percentile, period=period, initial=initial)
    if meter.conversion is not None:
        try:
            quantity = meter.conversion.of(quantity)
        except DecimalException:
            raise fields.invalid("conversion", "gives a number of more than 60 digits") from None
    return trimmed(quantity)


def _event(value: Any, field: str) -> UsageEvent:
    row = fields.object_of(
        value, field, known=("key", "timestamp", "quantity", "properties"), required=("timestamp",)
    )
    try:
        timestamp = instant_of(row["timestamp"])
    except NoInstant as error:
        raise fields.invalid(f"{field}.timestamp", str(error)) from None
    properties = row.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise fields.invalid(f"{field}.properties", f"is {kind_of(properties)}, not an object")
    quantity = row.get("quantity")
    key = row.get("key")
    return UsageEvent(
        idempotency_key="" if key is None else fields.text(key, f"{field}.key"),
        tenant_id=0,
        customer_id="",
        metric="",
        quantity=Decimal(1) if quantity is None else fields.number(quantity, f"{field}.quantity"),
        timestamp=timestamp,
        source="",
        properties=properties or {},
        is_timestamp_given=True,
        fingerprint=0,
        identity=b"",
    )
