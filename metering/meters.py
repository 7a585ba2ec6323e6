"""Meters: which events count, which of their values, and by which dimensions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from typing import Any

from aforo.kernel.decimals import EXACT, rounded, trimmed

from .aggregation import Aggregation, Sample
from .event import UsageEvent

DIGITS_MAX = 28
DIGITS_BEFORE_POINT_MAX = 18
PLACES_MAX = 28
GROUP_BY_MAX = 8

# At most 28 digits, the first at most 18 before the point and the last at most 28 after it. Sums of any
# 10^14 such numbers need 60 digits, which is what the exact context has. Emin is where the digit after the
# point number 28 is the smallest that a 28-digit number can have.
_LIMITED = Context(
    prec=DIGITS_MAX,
    Emax=DIGITS_BEFORE_POINT_MAX - 1,
    Emin=DIGITS_MAX - 1 - PLACES_MAX,
    traps=[InvalidOperation, Inexact, Overflow],
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_SHORT_INTEGER = 10**DIGITS_BEFORE_POINT_MAX
_WRITTEN_OUT_MAX = 5000
_ZERO = Decimal(0)


class NotANumber(ValueError):
    """A value that is no number, or one with more digits than are kept; the message is a sentence."""


def number_of(value: Any) -> Decimal:
    """A JSON number or the text of one as an exact decimal: "12.50", 3, 1e3.

    Text is written like a JSON number. Raises NotANumber with a sentence: for anything else, more than 28
    digits, more than 18 of them before the point or 28 after it. Zero is 0 however it is written.
    """
    kind = type(value)
    if kind is str and len(value) <= DIGITS_BEFORE_POINT_MAX and value.isascii() and value.isdigit():
        return Decimal(value)
    if kind is int:
        if -_SHORT_INTEGER < value < _SHORT_INTEGER:
            return Decimal(value)
        raise NotANumber(f"has more than {DIGITS_BEFORE_POINT_MAX} digits before the point")
    if kind is str:
        if _NUMBER.fullmatch(value) is None:
            raise NotANumber("is no decimal number")
    elif kind is not Decimal:
        raise NotANumber(f"is {kind_of(value)}, not a number or its text")
    try:
        number = _LIMITED.create_decimal(value)
    except Overflow:
        raise NotANumber(f"has more than {DIGITS_BEFORE_POINT_MAX} digits before the point") from None
    except Inexact:
        raise NotANumber(f"has more than {DIGITS_MAX} digits, or {PLACES_MAX} after the point") from None
    except DecimalException:
        raise NotANumber("is no finite decimal number") from None
    if not number.is_finite():
        raise NotANumber("is no finite decimal number")
    if not number:
        return _ZERO
    # 1E+3 is written out as 1000, so that equal quantities read alike.
    return number.quantize(1, context=EXACT) if "E+" in str(number) else number


def kind_of(value: Any) -> str:
    """What a JSON value is, for sentences: "text", "a number", "an object"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | Decimal):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


def text_of(value: Any) -> str:
    """A JSON value as the text by which it is compared and grouped: 1.50 and "1.5" are both "1.5"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return _number_text(Decimal(value))
    if value is None:
        return ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_number_text)


def _number_text(number: Decimal) -> str:
    # 1E+999999999 written out would be a gigabyte.
    return trimmed(number) if abs(number.adjusted()) <= _WRITTEN_OUT_MAX else str(number)


class Operator(StrEnum):
    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    GREATER_THAN = "GREATER_THAN"
    LESS_THAN = "LESS_THAN"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    IN = "IN"
    NOT_IN = "NOT_IN"


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one field of an event: `quantity`, or else the name of a property.

    value: text or a number; for IN and NOT_IN a tuple of them.
    Values are compared as text, and by size where one of them is a number: 200 equals "200.0". GREATER_THAN
    and LESS_THAN hold between numbers and texts of numbers only. CONTAINS looks for a piece of text, or for an element of a list.
    A missing value holds only for the three negations.
    """

    field: str
    operator: Operator
    value: Any

    def holds(self, event: UsageEvent) -> bool:
        found = field_of(event, self.field)
        match self.operator:
            case Operator.EQUALS:
                return _equal(found, self.value)
            case Operator.NOT_EQUALS:
                return not _equal(found, self.value)
            case Operator.GREATER_THAN:
                return (order := _order(found, self.value)) is not None and order > 0
            case Operator.LESS_THAN:
                return (order := _order(found, self.value)) is not None and order < 0
            case Operator.CONTAINS:
                return _contains(found, self.value)
            case Operator.NOT_CONTAINS:
                return not _contains(found, self.value)
            case Operator.IN:
                return any(_equal(found, item) for item in self.value)
            case Operator.NOT_IN:
                return not any(_equal(found, item) for item in self.value)


def _equal(found: Any, value: Any) -> bool:
    if found is None:
        return False
    if text_of(found) == text_of(value):
        return True
    # "007" and "7" are two texts; only where one side is a number are both read as numbers.
    return (_is_number(found) or _is_number(value)) and _order(found, value) == 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _order(found: Any, value: Any) -> Decimal | None:
    """Above zero where found is the greater, None where one of them is no number."""
    try:
        return EXACT.compare(number_of(found), number_of(value))
    except NotANumber:
        return None


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, list):
        return any(_equal(item, value) for item in found)
    return found is not None and text_of(value) in text_of(found)


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the metered unit to the billed one, before included units are subtracted.

    operation: "multiply" or "divide". factor: not zero.
    rounding: "up", "down", "half_up" or None for none. places: decimal places to round to, may be negative.
    """

    operation: str
    factor: Decimal
    rounding: str | None = None
    places: int = 0

    def of(self, quantity: Decimal) -> Decimal:
        """1,500 tokens divided by 1,000 are 1.5, rounded up to 0 places 2."""
        if self.operation == "divide":
            result = EXACT.divide(quantity, self.factor)
        else:
            result = EXACT.multiply(quantity, self.factor)
        return result if self.rounding is None else rounded(result, places=self.places, mode=self.rounding)


@dataclass(frozen=True, slots=True)
class Meter:
    """What turns events into a quantity.

    event_name: the metric it listens to. value_property: `quantity`, or the property that holds the value.
    filters: all of them must hold. group_by: names of properties, at most 8.
    percentile: for PERCENTILE only. allows_negative: quantities below zero are not refused.
    """

    id: int
    key: str
    event_name: str
    aggregation: Aggregation
    value_property: str = "quantity"
    filters: tuple[Filter, ...] = ()
    group_by: tuple[str, ...] = ()
    unit: str = ""
    conversion: Conversion | None = None
    allows_negative: bool = False
    percentile: Decimal | None = None


def feeds(meter: Meter, event: UsageEvent) -> bool:
    """Whether the event counts for the meter: its metric, and every filter."""
    if event.metric != meter.event_name:
        return False
    return all(condition.holds(event) for condition in meter.filters)


def value_of(meter: Meter, event: UsageEvent) -> Decimal | None:
    """The number the meter reads from the event; None where it is missing or no number."""
    if meter.value_property == "quantity":
        return event.quantity
    try:
        return number_of(event.properties.get(meter.value_property))
    except NotANumber:
        return None


def sample_of(meter: Meter, event: UsageEvent) -> Sample:
    """What the event brings to the meter's aggregation."""
    text = None
    # Only UNIQUE looks at the text; the others are spared making it.
    if meter.aggregation is Aggregation.UNIQUE:
        found = field_of(event, meter.value_property)
        text = None if found is None else text_of(found)
    return Sample(event.timestamp, event.idempotency_key, value_of(meter, event), text)


def dimensions_of(meter: Meter, event: UsageEvent) -> tuple[tuple[str, str], ...]:
    """(name, text) for each of the meter's dimensions, in the meter's order; a missing value is ""."""
    return tuple([(name, text_of(field_of(event, name))) for name in meter.group_by])


def field_of(event: UsageEvent, name: str) -> Any:
    """The event's quantity, or the property of that name; None where there is none."""
    return event.quantity if name == "quantity" else event.properties.get(name)
