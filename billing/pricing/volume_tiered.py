"""VOLUME_TIERED: all units at the price of the tier that the last one reaches."""

from __future__ import annotations

from .terms import Billable, Rated, Terms, TierCharge
from .tiers import check_tiers

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers)


def price(billable: Billable, terms: Terms) -> Rated:
    """Price all units in the tier (previous.up_to, up_to] that holds the quantity, with that tier's flat fee.

    15,000 calls; to 1,000 at 0.010, to 10,000 at 0.008, above at 0.005: 15,000 × 0.005 = 75.000.
    """
    if not billable.units:
        return Rated.of()
    for number, tier in enumerate(terms.tiers, start=1):
        if tier.up_to is None or billable.units <= tier.up_to:
            return Rated.of(
                TierCharge.of(billable.units, tier.unit_price, flat_fee=tier.flat_fee, tier=number)
            )
    raise ValueError("the last tier is open; check() refuses any other")
