"""What billing's pages share: money and prices as people read them, and fieldsets with fields left out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..documents.numbers import DEFAULT, money_text, number_text


def without(fieldsets: Any, hidden: set[str]) -> list[Any]:
    """The fieldsets with these fields left out, and empty rows and sets with them."""
    kept = []
    for title, options in fieldsets:
        rows = [row if isinstance(row, tuple) else (row,) for row in options["fields"]]
        rows = [tuple(name for name in row if name not in hidden) for row in rows]
        if any(rows):
            kept.append((title, {**options, "fields": tuple(row for row in rows if row)}))
    return kept


def money(amount: Decimal | None, currency: str) -> str:
    """$1,234.50; a dash where there is none."""
    return "–" if amount is None else money_text(amount, currency, DEFAULT)


def number(value: Decimal | None) -> str:
    """22,361,870 or 0.0000025; a dash where there is none."""
    return "–" if value is None else number_text(value, DEFAULT)
