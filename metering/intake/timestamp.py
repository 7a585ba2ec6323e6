"""Step 2, when: the event's instant, checked against the instant of receipt.

later than receipt + 5:00 min     refused, timestamp_in_future
older than 90 days                refused, timestamp_too_old
older than 24 hours               accepted, late
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from aforo.kernel.errors import Refusal
from aforo.kernel.periods import instant_text

from .draft import AGE_MAX, EPOCH, FUTURE_MAX, Draft, Receipt
from .refusals import field_invalid

_FINER_THAN_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")
# "2026-03-01T00:00:00.123456Z" has 27 characters.
_LENGTH_WITH_MICROSECONDS = 27


class NoInstant(ValueError):
    """A value that names no instant; the message is a sentence."""


def check(draft: Draft, receipt: Receipt) -> Refusal | None:
    """Set the draft's timestamp (UTC) and whether it is late; an event without one happened on receipt."""
    if draft.time is None:
        draft.timestamp = receipt.received_at
        return None
    try:
        timestamp = instant_of(draft.time)
    except NoInstant as error:
        return field_invalid({"timestamp": str(error)})
    if timestamp > receipt.latest:
        return _in_future(timestamp, receipt.received_at)
    if timestamp < receipt.earliest:
        return _too_old(timestamp, receipt.received_at)
    draft.timestamp = timestamp
    draft.is_late = timestamp < receipt.late_before
    return None


def instant_of(value: Any) -> datetime:
    """RFC 3339 text with a zone, or a number of milliseconds since 1970, as an instant in UTC.

    Finer than a microsecond is cut off, not rounded: the last instant of a month must stay in it.
    Raises NoInstant with a sentence.

    "2026-03-01T05:30:00+05:30" and 1772323200000 are 2026-03-01T00:00:00Z.
    """
    if isinstance(value, str):
        return _instant_of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NoInstant("is neither RFC 3339 text nor milliseconds since 1970")
    try:
        return EPOCH + timedelta(microseconds=int(value * 1000))
    except (OverflowError, ArithmeticError):
        raise NoInstant("is no instant between the years 1 and 9999") from None


def _instant_of_text(text: str) -> datetime:
    if len(text) > _LENGTH_WITH_MICROSECONDS:
        text = _FINER_THAN_MICROSECONDS.sub(r"\1", text, count=1)
    try:
        instant = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise NoInstant(f"{text[:64]!r} is no RFC 3339 instant like 2026-03-01T00:00:00Z") from None
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise NoInstant(f"{text!r} has no zone; end it with Z or an offset like +05:30")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise NoInstant(f"{text!r} is no instant between the years 1 and 9999") from None


def _in_future(timestamp: datetime, received_at: datetime) -> Refusal:
    ahead = timestamp - received_at
    return Refusal(
        "timestamp_in_future",
        f"{instant_text(timestamp)} is {_span(ahead)} after receipt; up to 5 minutes are accepted.",
        {"ahead_s": _seconds(ahead), "ahead_s_max": _seconds(FUTURE_MAX)},
    )


def _too_old(timestamp: datetime, received_at: datetime) -> Refusal:
    age = received_at - timestamp
    return Refusal(
        "timestamp_too_old",
        f"{instant_text(timestamp)} is {_span(age)} before receipt; up to {AGE_MAX.days} are accepted.",
        {"age_days": age.days, "age_days_max": AGE_MAX.days, "age_s": _seconds(age)},
    )


def _span(span: timedelta) -> str:
    """140 days; 90 days and 1 second: the remainder is said only where the days alone would not explain."""
    if span.days > AGE_MAX.days:
        return f"{span.days} days"
    seconds = span - timedelta(days=span.days)
    rest = "1 second" if _seconds(seconds) == 1 else f"{_seconds(seconds)} seconds"
    return f"{span.days} days and {rest}" if span.days else rest


def _seconds(span: timedelta) -> int | str:
    """Whole seconds as a number, others as exact text: 301, "300.000001"."""
    microseconds = span // timedelta(microseconds=1)
    if microseconds % 1_000_000 == 0:
        return microseconds // 1_000_000
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}"
