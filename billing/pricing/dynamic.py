"""DYNAMIC: the prices that the events carry, times a multiplier."""

from __future__ import annotations

from decimal import Decimal

from .terms import Billable, Rated, Terms, TierCharge

# Without included units: what one of them would be worth, the sum of the prices does not say.
NEEDS: frozenset[str] = frozenset()
ALLOWS = frozenset({"multiplier"})


def check(terms: Terms) -> None:
    """NEEDS and ALLOWS say it all."""


def price(billable: Billable, terms: Terms) -> Rated:
    """The billable units are the sum of the prices: 1.20 + 0.35 + 2.45 are 4.00, and at 1.15 times 4.60."""
    if not billable.units:
        return Rated.of()
    multiplier = Decimal(1) if terms.multiplier is None else terms.multiplier
    return Rated.of(TierCharge.of(billable.units, multiplier))
