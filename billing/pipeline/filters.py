"""Filters of charges on one meter: usage goes to the narrowest charge that lets it in, and so is never priced by two of them.

Charges with the same filters all price the same usage: that is a price in several parts, and is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from .state import Charge


def with_excludes(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """The charges of one plan, each without the usage that a narrower one beside it prices.

    One for all calls and one for {model: large}: the first excludes large ones.
    """
    found = tuple(charges)
    return tuple(_without_narrower(charge, found) for charge in found)


def _without_narrower(charge: Charge, others: Sequence[Charge]) -> Charge:
    narrower = {
        other.filters
        for other in others
        if other.meter == charge.meter and set(other.filters) > set(charge.filters)
    }
    return replace(charge, excludes=tuple(sorted(narrower))) if narrower else charge


def overlapping(charges: Iterable[Charge]) -> tuple[Charge, Charge] | None:
    """Two charges of one plan that both let some usage in, and of which neither is the narrower; None where there are none.

    {model: large} and {region: eu} both let large calls in the EU in, unless a third charge has both filters.
    """
    usage = [charge for charge in charges if charge.kind == "USAGE"]
    for one, other in combinations(usage, 2):
        mine, theirs = set(one.filters), set(other.filters)
        both = mine | theirs
        is_possible = len({name for name, _ in both}) == len(both)
        is_nested = mine <= theirs or theirs <= mine
        is_met = any(each.meter == one.meter and set(each.filters) == both for each in usage)
        if one.meter == other.meter and is_possible and not is_nested and not is_met:
            return one, other
    return None
