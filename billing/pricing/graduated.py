"""GRADUATED: each unit at the price of the tier it falls in."""

from __future__ import annotations

from .terms import Billable, Rated, Terms
from .tiers import charged, check_tiers, split

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})
TIERS = frozenset({"unit_price", "flat_fee", "cap"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers, knows=TIERS)


def price(billable: Billable, terms: Terms) -> Rated:
    """Price each unit in its tier (previous.up_to, up_to]; a tier's flat fee is due with its first unit.

    12,500 calls; first 1,000 at 0.010, next 9,000 at 0.008, the rest at 0.005:
    10.000 + 72.000 + 12.500 = 94.500
    """
    rows = (
        row
        for number, tier, units in split(billable.units, terms.tiers)
        for row in charged(number, tier, units, tier.unit_price)
    )
    return Rated.of(*rows)
