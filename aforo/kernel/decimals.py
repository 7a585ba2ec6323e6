"""Exact decimals: the one arithmetic context, one notation and one way to round."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)

# 60 digits hold any product of a 28-digit quantity and a 28-digit price without rounding.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[DivisionByZero, InvalidOperation, Overflow])

ROUNDINGS = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "up": ROUND_CEILING,
    "down": ROUND_FLOOR,
}


def rounded(number: Decimal, *, places: int, mode: str) -> Decimal:
    """Round *number* to *places* decimal places (negative: tens, hundreds, …).

    mode: "half_up" (away from zero), "half_even", "up" (ceiling) or "down" (floor).
    Raises KeyError for any other mode.

    82.005 at 2 places is 82.01 half up and 82.00 half even.
    """
    # Written out rather than as scaleb: 1E+2 quantized keeps an exponent that plain() removes.
    return number.quantize(Decimal(1).scaleb(-places), rounding=ROUNDINGS[mode], context=EXACT)


def total(numbers: Iterable[Decimal]) -> Decimal:
    """Add exactly, in the 60-digit context; nothing adds to 0."""
    result = Decimal(0)
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def plain(number: Decimal) -> str:
    """The number as text without an exponent, its stated places kept: 107.00, 0.0000025, 100."""
    text = format(number, "f")
    return "0" if text == "-0" else text


def trimmed(number: Decimal) -> str:
    """The number as text in its shortest plain form: 107, 0.0000025; equal numbers give equal text."""
    text = str(number)
    # Written with an exponent, or NaN.
    if not text[-1].isdigit() or "E" in text:
        text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
