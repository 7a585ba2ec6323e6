"""Proration: the share of a period in which something was active, by local day or by second."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import days_between
from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period

BASES = ("day", "second")


def share(period: Period, active: Period, *, basis: str, zone: ZoneInfo) -> tuple[int, int]:
    """How much of the period was active: numerator and denominator, not reduced.

    basis "day": local days in the zone, a day belonging to whoever starts on it; "second": elapsed seconds, so an
    hour that daylight saving adds counts. What lies outside the period does not count.
    Parts that tile the period have numerators that add up to the denominator.

    20 June to 1 July of June 2026 is 11 of 30 days.
    """
    overlap = period.overlap(active)
    if basis == "day":
        whole = days_between(period.start, period.end, zone)
        if whole > 0:
            return (0 if overlap is None else days_between(overlap.start, overlap.end, zone)), whole
        # A period inside one local day has no days to count; seconds say the same share.
    unit = timedelta(seconds=1)
    if (period.end - period.start) % unit or (overlap and ((overlap.end - overlap.start) % unit)):
        unit = timedelta(microseconds=1)
    return (0 if overlap is None else (overlap.end - overlap.start) // unit), (
        period.end - period.start
    ) // unit


def prorated(amount: Decimal, numerator: int, denominator: int) -> Decimal:
    """The amount's share, unrounded to 60 digits; multiplied first, so that whole shares stay exact.

    30.00 at 11 of 30 is 11.00.
    """
    reduced = Fraction(numerator, denominator)
    return EXACT.divide(EXACT.multiply(amount, Decimal(reduced.numerator)), Decimal(reduced.denominator))
