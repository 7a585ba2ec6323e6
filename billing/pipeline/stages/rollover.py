"""Rollover: included units that earlier periods left unused become extra allowance.

Before aggregation and allowance, because what is free must be known before it is subtracted.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

from ..state import ZERO, Allowance, BillingState, CarriedUnits, Charge
from ..trace import explained

READS = frozenset({"charges", "carried_in"})
WRITES = frozenset({"allowances"})


def run(state: BillingState) -> BillingState:
    """1,000 included, 700 used last period, at most 50 %: the 300 unused ones are allowed on top."""
    allowances, why = [], []
    for charge in state.charges:
        carried = [each for each in state.carried_in if each.charge == charge.code]
        if charge.rollover is None or not carried:
            continue
        most = _most(charge)
        taken = taken_over(carried, most)
        allowances += [
            Allowance(charge=charge.code, units=each.units, periods_left=each.periods_left) for each in taken
        ]
        for each in taken:
            why.append(
                explained(
                    "rollover", "carried", charge.code, units=each.units, periods_left=each.periods_left
                )
            )
        lapsed = EXACT.subtract(total(each.units for each in carried), total(each.units for each in taken))
        if lapsed:
            why.append(explained("rollover", "lapsed", charge.code, units=lapsed, units_max=most))
    return replace(state, allowances=tuple(allowances), trace=(*state.trace, *why))


def taken_over(carried: list[CarriedUnits], most: Decimal) -> list[CarriedUnits]:
    """Those that still live, at most so many in all; the longest-lived are kept first.

    300 units with 1 period left and 200 with 2, at most 400: 200 of the first and all of the second.
    Returned in order of expiry.
    """
    kept = []
    left = most
    for each in sorted(carried, key=lambda each: -each.periods_left):
        units = min(each.units, left)
        if each.periods_left > 0 and units > ZERO:
            kept.append(replace(each, units=units))
            left = EXACT.subtract(left, units)
    return kept[::-1]


def _most(charge: Charge) -> Decimal:
    """What a period may take over in all: the percentage of the included units, and no more than units_max."""
    if charge.rollover is None:
        return ZERO
    of_included = EXACT.multiply(charge.terms.included, EXACT.scaleb(charge.rollover.percent, -2))
    units_max = charge.rollover.units_max
    return of_included if units_max is None else min(of_included, units_max)
