"""PER_UNIT: every unit at the same price."""

from __future__ import annotations

from .terms import Billable, Rated, Terms, TierCharge, needed

NEEDS = frozenset({"unit_price"})
ALLOWS = frozenset({"included"})


def check(terms: Terms) -> None:
    """NEEDS and ALLOWS say it all."""


def price(billable: Billable, terms: Terms) -> Rated:
    """500 units at 0.001 are 0.500."""
    if not billable.units:
        return Rated.of()
    return Rated.of(TierCharge.of(billable.units, needed(terms.unit_price)))
