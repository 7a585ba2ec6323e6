"""GRADUATED_PERCENTAGE: each part of the amount metered at the percentage of the tier it falls in."""

from __future__ import annotations

from aforo.kernel.decimals import EXACT

from .terms import Billable, Rated, Terms
from .tiers import charged, check_tiers, split

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})
TIERS = frozenset({"percent", "flat_fee", "cap"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers, knows=TIERS)


def price(billable: Billable, terms: Terms) -> Rated:
    """Take of each part (previous.up_to, up_to] its tier's percentage; a flat fee is due with the part's first unit.

    15,000.00 of payments; 3 % to 10,000, 2 % above: 300.00 + 100.00 = 400.00.
    """
    rows = (
        row
        for number, tier, amount in split(billable.units, terms.tiers)
        for row in charged(number, tier, amount, EXACT.scaleb(tier.percent, -2))
    )
    return Rated.of(*rows)
