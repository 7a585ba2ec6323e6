"""VOLUME_TIERED: all units at the price of the tier that the last one reaches."""

from __future__ import annotations

from .terms import Billable, Rated, Terms
from .tiers import charged, check_tiers, reached

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})
TIERS = frozenset({"unit_price", "flat_fee", "cap"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers, knows=TIERS)


def price(billable: Billable, terms: Terms) -> Rated:
    """Price all units in the tier (previous.up_to, up_to] that holds the quantity, with that tier's flat fee.

    15,000 calls; to 1,000 at 0.010, to 10,000 at 0.008, above at 0.005: 15,000 × 0.005 = 75.000.
    """
    if not billable.units:
        return Rated.of()
    number, tier = reached(billable.units, terms.tiers)
    return Rated.of(*charged(number, tier, billable.units, tier.unit_price))
