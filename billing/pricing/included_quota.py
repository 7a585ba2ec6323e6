"""INCLUDED_QUOTA: units beyond the included ones, in blocks of which each is charged when its first unit is used."""

from __future__ import annotations

from decimal import Decimal

from .blocks import begun
from .terms import Billable, InvalidTerms, Rated, Terms, TierCharge, needed

NEEDS = frozenset({"unit_price"})
ALLOWS = frozenset({"included", "block_size", "rate_basis"})
RATE_BASES = ("per_block", "per_unit")


def check(terms: Terms) -> None:
    if terms.rate_basis and terms.rate_basis not in RATE_BASES:
        raise InvalidTerms("rate_basis", f"is none of {', '.join(RATE_BASES)}")
    if terms.block_size is not None and not terms.block_size:
        raise InvalidTerms("block_size", "is zero")


def price(billable: Billable, terms: Terms) -> Rated:
    """150 units beyond the included ones in blocks of 100 at 0.10 a block: 2 blocks, 0.20; per unit: 15.00."""
    if not billable.units:
        return Rated.of()
    quantity = billable.units
    if terms.rate_basis != "per_unit":
        quantity = begun(billable.units, terms.block_size or Decimal(1))
    return Rated.of(TierCharge.of(quantity, needed(terms.unit_price)))
