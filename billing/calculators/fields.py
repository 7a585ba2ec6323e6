"""Reading a calculator's request: every field by its kind, with an error that names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aforo.kernel.currencies import UnknownCurrency, minor_units
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period

T = TypeVar("T")
DIGITS_MAX = 28
_SPELLING = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def invalid(field: str, sentence: str) -> Problem:
    return Problem("field_invalid", f"{field}: {sentence}", errors={field: sentence})


def object_of(value: Any, field: str, *, known: set[str], required: set[str]) -> Mapping[str, Any]:
    """A JSON object with the required fields and no unknown one.

    Raises Problem fields_missing or field_invalid.
    """
    if not isinstance(value, Mapping):
        raise invalid(field, "must be an object")
    prefix = "" if field == "the request" else f"{field}."
    unknown = sorted(set(value) - known)
    if unknown:
        raise invalid(f"{prefix}{unknown[0]}", f"unknown field; {field} knows {', '.join(sorted(known))}")
    missing = sorted(f"{prefix}{name}" for name in required if value.get(name) is None)
    if missing:
        raise Problem("fields_missing", f"{field} lacks {', '.join(missing)}.", missing=missing)
    return value


def list_of(value: Any, field: str, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    """A JSON array (or null, which is empty), each element read under its place: lines[0]."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid(field, "must be an array")
    return tuple(read(item, f"{field}[{index}]") for index, item in enumerate(value))


def text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(field, "must be a text")
    return value


def flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(field, "must be true or false")
    return value


def choice(value: Any, field: str, among: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in among:
        raise invalid(field, f"must be one of {', '.join(among)}")
    return value


def whole(value: Any, field: str, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(field, f"must be a whole number from {least} to {most}")
    return value


def decimal(value: Any, field: str, *, least: Decimal | None = None) -> Decimal:
    """An exact decimal of up to 28 digits, written as text or as a JSON number (read as it is spelled)."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise invalid(field, 'must be a decimal such as "30.00"')
    try:
        # Digits beyond ASCII and underscores are Python's own liberties, not a decimal on an invoice.
        number = (
            Decimal(value) if not isinstance(value, str) or _SPELLING.fullmatch(value) else Decimal("NaN")
        )
    except InvalidOperation:
        raise invalid(field, f"{value!r} is no decimal") from None
    if not number.is_finite():
        raise invalid(field, f"{value!r} is no decimal")
    if len(number.as_tuple().digits) > DIGITS_MAX or abs(number.adjusted()) > DIGITS_MAX:
        raise invalid(field, f"has more than {DIGITS_MAX} digits")
    if least is not None and number < least:
        raise invalid(field, f"must be {least} or more")
    return number


def currency(value: Any, field: str = "currency") -> str:
    code = text(value, field)
    try:
        minor_units(code)
    except UnknownCurrency as error:
        raise invalid(field, str(error)) from None
    return code


def zone(value: Any, field: str = "timezone") -> ZoneInfo:
    try:
        return ZoneInfo(text(value, field))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(field, f"{value!r} is no IANA time zone") from None


def instant(value: Any, field: str) -> datetime:
    """An RFC 3339 instant with its offset."""
    try:
        at = datetime.fromisoformat(text(value, field))
    except ValueError:
        raise invalid(field, f"{value!r} is no RFC 3339 instant") from None
    if at.tzinfo is None:
        raise invalid(field, f"{value!r} has no zone; end it with Z or an offset")
    return _in_range(at, field)


def _in_range(at: datetime, field: str) -> datetime:
    # Zones and neighbouring periods need room at both ends of the calendar.
    if not 1900 <= at.year <= 2999:
        raise invalid(field, "must lie in the years 1900 to 2999")
    return at.astimezone(UTC)


def date_or_instant(value: Any, field: str) -> date | datetime:
    """A local date (2026-03-01) or an instant."""
    if isinstance(value, str) and len(value) == 10:
        try:
            on = date.fromisoformat(value)
        except ValueError:
            raise invalid(field, f"{value!r} is no date") from None
        if not 1900 <= on.year <= 2999:
            raise invalid(field, "must lie in the years 1900 to 2999")
        return on
    return instant(value, field)


def period(value: Any, field: str) -> Period:
    """{"start", "end"}: half-open, the end after the start."""
    row = object_of(value, field, known={"start", "end"}, required={"start", "end"})
    start, end = instant(row["start"], f"{field}.start"), instant(row["end"], f"{field}.end")
    if start >= end:
        raise invalid(field, "must end after it starts")
    return Period(start, end)
