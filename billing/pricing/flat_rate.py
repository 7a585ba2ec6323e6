"""FLAT_RATE: one amount for the cycle, however much is used."""

from __future__ import annotations

from decimal import Decimal

from .terms import Billable, Rated, Terms, TierCharge, needed

NEEDS = frozenset({"amount"})
ALLOWS: frozenset[str] = frozenset()


def check(terms: Terms) -> None:
    """NEEDS and ALLOWS say it all."""


def price(billable: Billable, terms: Terms) -> Rated:
    """49.09, with or without usage."""

    return Rated.of(TierCharge.of(Decimal(1), needed(terms.amount)))
