"""Blocks: what INCLUDED_QUOTA and PACKAGE charge whole, however little of the last one is used."""

from __future__ import annotations

from decimal import Decimal

from aforo.kernel.decimals import EXACT, rounded


def begun(units: Decimal, size: Decimal) -> Decimal:
    """How many blocks of a size above zero the units begin: 201 in blocks of 100 are 3."""
    return rounded(EXACT.divide(units, size), places=0, mode="up")
