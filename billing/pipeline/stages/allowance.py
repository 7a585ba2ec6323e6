"""Allowance: included and carried units are subtracted, once.

After aggregation, because units are free by the period and not by the event; before rating, so that no pricing model
needs to know of free units and tiers count billable units from zero.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

from ..state import BillableQuantity, BillingState, CarriedUnits
from ..trace import explained

READS = frozenset({"charges", "quantities", "allowances"})
WRITES = frozenset({"billables", "carried_out"})


def run(state: BillingState) -> BillingState:
    """1,500 used, 1,000 included: 500 billable. What stays unused is carried out where the charge rolls over."""
    charges = {charge.code: charge for charge in state.charges}
    billables, carried_out, why = [], [], []
    for quantity in state.quantities:
        charge = charges[quantity.charge]
        carried = [each for each in state.allowances if each.charge == charge.code]
        # Carried units come from earlier periods and so expire before this period's included ones.
        lots = (*(each.units for each in carried), charge.terms.included)
        lives = (
            *(each.periods_left for each in carried),
            1 + (charge.rollover.periods if charge.rollover else 0),
        )
        taken, billable = drawn(quantity.units, lots)
        free = EXACT.subtract(quantity.units, billable)
        billables.append(
            BillableQuantity(
                charge=charge.code,
                metered=quantity.units,
                free=free,
                billable=billable,
                event_count=quantity.event_count,
            )
        )
        if any(lots):
            why.append(
                explained(
                    "allowance",
                    "drawn",
                    charge.code,
                    metered=quantity.units,
                    included=charge.terms.included,
                    carried=EXACT.subtract(total(lots), charge.terms.included),
                    free=free,
                    billable=billable,
                )
            )
        for units, used, periods_left in zip(lots, taken, lives, strict=True):
            if units > used and periods_left > 1:
                unused = EXACT.subtract(units, used)
                carried_out.append(
                    CarriedUnits(charge=charge.code, units=unused, periods_left=periods_left - 1)
                )
                why.append(
                    explained(
                        "allowance", "carried_out", charge.code, units=unused, periods_left=periods_left - 1
                    )
                )
    return replace(
        state,
        billables=tuple(billables),
        carried_out=tuple(carried_out),
        trace=(*state.trace, *why),
    )


def drawn(units: Decimal, lots: tuple[Decimal, ...]) -> tuple[tuple[Decimal, ...], Decimal]:
    """Take units from the lots of free units, in their order: what each gave, and what is left to be billed.

    1,500 from lots of 300 and 1,000: (300, 1,000), and 200 billable.
    """
    taken = []
    left = units
    for lot in lots:
        part = min(lot, left)
        taken.append(part)
        left = EXACT.subtract(left, part)
    return tuple(taken), left
