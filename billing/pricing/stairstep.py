"""STAIRSTEP: the flat price of the step that the last unit reaches."""

from __future__ import annotations

from .terms import ZERO, Billable, Rated, Terms
from .tiers import charged, check_tiers, reached

NEEDS = frozenset({"tiers"})
ALLOWS = frozenset({"included"})
TIERS = frozenset({"flat_fee"})


def check(terms: Terms) -> None:
    check_tiers(terms.tiers, knows=TIERS)


def price(billable: Billable, terms: Terms) -> Rated:
    """The flat fee of the step (previous.up_to, up_to] that holds the quantity; nothing without usage.

    11 seats; to 10 for 50, to 50 for 200, above for 500: 200.
    """
    if not billable.units:
        return Rated.of()
    number, tier = reached(billable.units, terms.tiers)
    return Rated.of(*charged(number, tier, billable.units, ZERO))
