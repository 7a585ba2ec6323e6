"""GRADUATED: each unit at the price of the tier it falls in."""

from __future__ import annotations

from aforo.kernel.decimals import EXACT

from .terms import ZERO, Billable, Rated, Terms, TierCharge
from .tiers import check_tiers

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers)


def price(billable: Billable, terms: Terms) -> Rated:
    """Price each unit in its tier (previous.up_to, up_to]; a tier's flat fee is due with its first unit.

    12,500 calls; first 1,000 at 0.010, next 9,000 at 0.008, the rest at 0.005:
    10.000 + 72.000 + 12.500 = 94.500
    """
    rows = []
    below = ZERO
    for number, tier in enumerate(terms.tiers, start=1):
        upper = billable.units if tier.up_to is None else min(billable.units, tier.up_to)
        if upper <= below:
            break
        units = EXACT.subtract(upper, below)
        rows.append(TierCharge.of(units, tier.unit_price, flat_fee=tier.flat_fee, tier=number))
        below = upper
    return Rated.of(*rows)
