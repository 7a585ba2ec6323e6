"""`manage.py aggregate`: events and a meter's terms to a quantity, by the meters' and intake's own code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aforo.kernel.decimals import ROUNDINGS, trimmed
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text, local_midnight, month_later

from .aggregation import ZERO, Aggregation, Sample, finish, fold_all
from .event import UsageEvent
from .intake.timestamp import NoInstant, instant_of
from .meters import (
    GROUP_BY_MAX,
    Conversion,
    Filter,
    Meter,
    NotANumber,
    Operator,
    dimensions_of,
    feeds,
    kind_of,
    number_of,
    sample_of,
)
from .strict_json import storable

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
PLACES_MAX = 28


class _Terms:
    """A request, read: the meter, and over what its quantity is taken."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        row = _object(request, "the request", known=KNOWN, required=("aggregation", "events"))
        self.meter = Meter(
            id=0,
            key="",
            event_name="",
            aggregation=Aggregation(_choice(row["aggregation"], "aggregation", tuple(Aggregation))),
            value_property=_text(row["property"], "property") if row.get("property") else "quantity",
            filters=_list(row.get("filters"), "filters", _filter),
            group_by=_list(row.get("group_by"), "group_by", _text),
            percentile=_percentile(row.get("percentile")),
            conversion=_conversion(row.get("conversion")),
        )
        if len(self.meter.group_by) > GROUP_BY_MAX:
            raise _invalid("group_by", f"has more than {GROUP_BY_MAX} dimensions")
        self.period = None if row.get("period") is None else _period(row["period"])
        self.initial = ZERO if row.get("initial") is None else _number(row["initial"], "initial")
        self.starts = None if row.get("window") is None else self._starts(row["window"])
        self.events = _list(row["events"], "events", _event)
        if self.meter.aggregation is Aggregation.PERCENTILE and self.meter.percentile is None:
            raise _missing("percentile")
        if self.meter.aggregation is Aggregation.WEIGHTED_SUM and self.period is None:
            raise _missing("period")

    def _starts(self, value: Any) -> list[datetime]:
        row = _object(value, "window", known=("size", "timezone"), required=("size",))
        size = _choice(row["size"], "window.size", SIZES)
        zone = _zone(row.get("timezone") or "UTC", "window.timezone")
        if self.period is None:
            raise _missing("period")
        starts: list[datetime] = []
        for start in window_starts(self.period, size, zone):
            if len(starts) == WINDOWS_MAX:
                raise _invalid("window", f"cuts the period into more than {WINDOWS_MAX:,} windows")
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
            raise _invalid("conversion", "gives a number of more than 60 digits") from None
    return trimmed(quantity)


def _event(value: Any, field: str) -> UsageEvent:
    row = _object(value, field, known=("key", "timestamp", "quantity", "properties"), required=("timestamp",))
    try:
        timestamp = instant_of(row["timestamp"])
    except NoInstant as error:
        raise _invalid(f"{field}.timestamp", str(error)) from None
    properties = row.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise _invalid(f"{field}.properties", f"is {kind_of(properties)}, not an object")
    quantity = row.get("quantity")
    key = row.get("key")
    return UsageEvent(
        idempotency_key="" if key is None else _text(key, f"{field}.key"),
        tenant_id=0,
        customer_id="",
        metric="",
        quantity=Decimal(1) if quantity is None else _number(quantity, f"{field}.quantity"),
        timestamp=timestamp,
        source="",
        properties=properties or {},
        is_timestamp_given=True,
        fingerprint=0,
        identity=b"",
    )


def _filter(value: Any, field: str) -> Filter:
    row = _object(value, field, known=("field", "operator", "value"), required=("field", "operator"))
    operator = Operator(_choice(row["operator"], f"{field}.operator", tuple(Operator)))
    against = row.get("value")
    if operator in {Operator.IN, Operator.NOT_IN}:
        if not isinstance(against, list):
            raise _invalid(f"{field}.value", f"is {kind_of(against)}, not a list")
        against = tuple(against)
    elif against is None:
        raise _missing(f"{field}.value")
    return Filter(_text(row["field"], f"{field}.field"), operator, against)


def _conversion(value: Any) -> Conversion | None:
    if value is None:
        return None
    row = _object(
        value,
        "conversion",
        known=("operation", "factor", "rounding", "places"),
        required=("operation", "factor"),
    )
    factor = _number(row["factor"], "conversion.factor")
    if not factor:
        raise _invalid("conversion.factor", "is zero")
    places = row.get("places") or 0
    if isinstance(places, bool) or not isinstance(places, int) or abs(places) > PLACES_MAX:
        raise _invalid("conversion.places", f"is not a whole number from -{PLACES_MAX} to {PLACES_MAX}")
    rounding = row.get("rounding")
    return Conversion(
        operation=_choice(row["operation"], "conversion.operation", ("multiply", "divide")),
        factor=factor,
        rounding=None if rounding is None else _choice(rounding, "conversion.rounding", tuple(ROUNDINGS)),
        places=places,
    )


def _percentile(value: Any) -> Decimal | None:
    if value is None:
        return None
    # People write p95 for it, and so may a request.
    percentile = _number(value.removeprefix("p") if isinstance(value, str) else value, "percentile")
    if not 0 < percentile <= 100:
        raise _invalid("percentile", "does not lie above 0 and at most at 100")
    return percentile


def _period(value: Any) -> Period:
    row = _object(value, "period", known=("start", "end"), required=("start", "end"))
    instants = []
    for name in ("start", "end"):
        try:
            instant = instant_of(row[name])
        except NoInstant as error:
            raise _invalid(f"period.{name}", str(error)) from None
        # Zones and neighbouring days need room at both ends of the calendar.
        if not 1900 <= instant.year <= 2999:
            raise _invalid(f"period.{name}", "does not lie in the years 1900 to 2999")
        instants.append(instant)
    if instants[0] >= instants[1]:
        raise _invalid("period", "does not end after it starts")
    return Period(instants[0], instants[1])


def _zone(value: Any, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(_text(value, field))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _invalid(field, "is no IANA time zone such as Asia/Kolkata") from None


def _object(
    value: Any, field: str, *, known: tuple[str, ...], required: tuple[str, ...]
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(field, f"is {kind_of(value)}, not an object")
    unknown = sorted(value.keys() - set(known))
    if unknown:
        raise _invalid(str(storable(unknown[0]))[:64], f"is unknown; {field} knows {', '.join(known)}")
    missing = [name for name in required if value.get(name) is None]
    if missing:
        raise _missing(*(name if field == "the request" else f"{field}.{name}" for name in missing))
    return value


def _list(value: Any, field: str, read: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _invalid(field, f"is {kind_of(value)}, not a list")
    return tuple(read(item, f"{field}[{index}]") for index, item in enumerate(value))


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise _invalid(field, f"is {kind_of(value)}, not text")
    return value


def _choice(value: Any, field: str, among: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in among:
        raise _invalid(field, f"is none of {', '.join(among)}")
    return value


def _number(value: Any, field: str) -> Decimal:
    try:
        return number_of(value)
    except NotANumber as error:
        raise _invalid(field, str(error)) from None


def _invalid(field: str, what: str) -> Problem:
    return Problem("field_invalid", f"{field} {what}.", errors={field: what})


def _missing(*names: str) -> Problem:
    return Problem("fields_missing", f"Missing: {', '.join(names)}.", missing=list(names))
