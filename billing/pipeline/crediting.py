"""Crediting: what an invoice's taxes come to when less of its lines is charged.

The tax stage itself answers, on lines that are lowered by what is credited: so a credit follows the invoice's own rates,
inclusion and rounding, credits in parts add up to a credit of all, and nothing is left when everything is credited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor

from . import run
from .state import ZERO, BillingState, Routing, Settlement
from .totals import net_of


def taxes_left(state: BillingState, credited: Mapping[int, Decimal]) -> tuple[Decimal, ...]:
    """The amount of each of the invoice's taxes once this much of its lines is credited, in the order of the taxes.

    state: of a finished run. credited: by a line's place, counted from 1, net of discounts; of all credits so far.

    100.00 at 19 %, of which 40.00 are credited: 11.40 of 19.00.
    """
    lines = tuple(
        replace(line, amount=EXACT.subtract(line.amount, credited.get(place, ZERO)))
        for place, line in enumerate(state.lines, start=1)
    )
    before_tax = replace(state, lines=lines, taxes=(), routing=Routing(), settlement=Settlement())
    lowered = run(before_tax, since="tax", until="tax")
    if not lowered.is_blocked:
        return tuple(tax.amount for tax in lowered.taxes)
    # An outside engine has answered for the invoice as it was: its taxes are shared by what is left of the lines.
    whole = net_of(state)
    left = EXACT.subtract(whole, total(credited.values()))
    return tuple(
        round_minor(
            EXACT.divide(EXACT.multiply(tax.amount, left), whole) if whole else ZERO,
            state.currency,
            state.rounding,
        )
        for tax in state.taxes
    )
