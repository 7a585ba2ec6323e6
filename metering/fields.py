"""Fields of a JSON request read by their kind; whatever is wrong is a Problem that names the field.

Every reader takes the value and the field's name, and raises Problem field_invalid or fields_missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aforo.kernel.decimals import ROUNDINGS
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.kernel.texts import storable

from .intake.timestamp import NoInstant, instant_of
from .meters import Conversion, Filter, NotANumber, Operator, kind_of, number_of

PLACES_MAX = 28


def filter_of(value: Any, field: str) -> Filter:
    row = object_of(value, field, known=("field", "operator", "value"), required=("field", "operator"))
    operator = Operator(choice(row["operator"], f"{field}.operator", tuple(Operator)))
    against = row.get("value")
    if operator in {Operator.IN, Operator.NOT_IN}:
        if not isinstance(against, list):
            raise invalid(f"{field}.value", f"is {kind_of(against)}, not a list")
        against = tuple(against)
    elif against is None:
        raise missing(f"{field}.value")
    return Filter(text(row["field"], f"{field}.field"), operator, against)


def conversion(value: Any) -> Conversion | None:
    if value is None:
        return None
    row = object_of(
        value,
        "conversion",
        known=("operation", "factor", "rounding", "places"),
        required=("operation", "factor"),
    )
    factor = number(row["factor"], "conversion.factor")
    if not factor:
        raise invalid("conversion.factor", "is zero")
    places = row.get("places") or 0
    if isinstance(places, bool) or not isinstance(places, int) or abs(places) > PLACES_MAX:
        raise invalid("conversion.places", f"is not a whole number from -{PLACES_MAX} to {PLACES_MAX}")
    rounding = row.get("rounding")
    return Conversion(
        operation=choice(row["operation"], "conversion.operation", ("multiply", "divide")),
        factor=factor,
        rounding=None if rounding is None else choice(rounding, "conversion.rounding", tuple(ROUNDINGS)),
        places=places,
    )


def percentile(value: Any) -> Decimal | None:
    if value is None:
        return None
    # People write p95 for it, and so may a request.
    rank = number(value.removeprefix("p") if isinstance(value, str) else value, "percentile")
    if not 0 < rank <= 100:
        raise invalid("percentile", "does not lie above 0 and at most at 100")
    return rank


def period(value: Any) -> Period:
    row = object_of(value, "period", known=("start", "end"), required=("start", "end"))
    instants = []
    for name in ("start", "end"):
        try:
            instant = instant_of(row[name])
        except NoInstant as error:
            raise invalid(f"period.{name}", str(error)) from None
        # Zones and neighbouring days need room at both ends of the calendar.
        if not 1900 <= instant.year <= 2999:
            raise invalid(f"period.{name}", "does not lie in the years 1900 to 2999")
        instants.append(instant)
    if instants[0] >= instants[1]:
        raise invalid("period", "does not end after it starts")
    return Period(instants[0], instants[1])


def zone(value: Any, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(text(value, field))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(field, "is no IANA time zone such as Asia/Kolkata") from None


def object_of(
    value: Any, field: str, *, known: tuple[str, ...], required: tuple[str, ...]
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(field, f"is {kind_of(value)}, not an object")
    unknown = sorted(value.keys() - set(known))
    if unknown:
        raise invalid(str(storable(unknown[0]))[:64], f"is unknown; {field} knows {', '.join(known)}")
    absent = [name for name in required if value.get(name) is None]
    if absent:
        raise missing(*(name if field == "the request" else f"{field}.{name}" for name in absent))
    return value


def list_of(value: Any, field: str, read: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid(field, f"is {kind_of(value)}, not a list")
    return tuple(read(item, f"{field}[{index}]") for index, item in enumerate(value))


def text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise invalid(field, f"is {kind_of(value)}, not text")
    return value


def choice(value: Any, field: str, among: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in among:
        raise invalid(field, f"is none of {', '.join(among)}")
    return value


def number(value: Any, field: str) -> Decimal:
    try:
        return number_of(value)
    except NotANumber as error:
        raise invalid(field, str(error)) from None


def invalid(field: str, what: str) -> Problem:
    return Problem("field_invalid", f"{field} {what}.", errors={field: what})


def missing(*names: str) -> Problem:
    return Problem("fields_missing", f"Missing: {', '.join(names)}.", missing=list(names))
