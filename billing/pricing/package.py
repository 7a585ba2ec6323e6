"""PACKAGE: units in packages, each charged when its first unit is used."""

from __future__ import annotations

from .blocks import begun
from .terms import Billable, InvalidTerms, Rated, Terms, TierCharge, needed

NEEDS = frozenset({"package_size", "package_price"})
ALLOWS = frozenset({"included"})


def check(terms: Terms) -> None:
    if not terms.package_size:
        raise InvalidTerms("package_size", "is zero")


def price(billable: Billable, terms: Terms) -> Rated:
    """201 units in packages of 100 at 5: 3 packages, 15."""
    if not billable.units:
        return Rated.of()
    packages = begun(billable.units, needed(terms.package_size))
    return Rated.of(TierCharge.of(packages, needed(terms.package_price)))
