"""Fees in advance: what was billed of a cycle before it began, against what the cycle has become.

The invoice of a cycle compares. What was never billed in advance is a line of its own; where something was, the difference
is one line, at the share of it that was left after discounts, so that nobody gets back more than was billed. It is an
adjustment: no discount or commitment looks at it, and a credit never turns an invoice negative.
Decided in docs/decisions/0018-timeline.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor
from aforo.kernel.periods import Period, last_day

from .state import ONE, ZERO, BillingState, Charge, FeeAhead, Line

# What a settling line adjusts; no invoice has this number.
AHEAD = "fees in advance"


def settled(state: BillingState, charge: Charge, due: list[Line]) -> list[Line]:
    """The lines of a fee: of this cycle, or the difference where it was billed in advance; and of the next one.

    30.00 were billed for June, and the plan was left on 16 June: 15.00 − 30.00, a line of −15.00.
    """
    paid = [fee for fee in state.fees_ahead if fee.code == charge.code]
    if not paid:
        return due
    present = [line for line in due if line.ahead_of is None]
    return [*_difference(state, paid, present), *(line for line in due if line.ahead_of is not None)]


def left_over(state: BillingState) -> list[Line]:
    """The differences of fees that this cycle does not hold at all, and the credits that the invoice before had no room for."""
    codes = {charge.code for charge in state.charges}
    gone = [fee for fee in state.fees_ahead if fee.code not in codes]
    lines = [line for fee in gone for line in _difference(state, [fee], ())]
    for left in state.credits_left:
        lines.append(
            Line(
                kind="PRORATION",
                code=left.code,
                description=f"Credit left by the invoice before ({left.code})",
                quantity=ONE,
                unrounded=left.amount,
                amount=left.amount,
                adjusts=AHEAD,
            )
        )
    return lines


def days_of(period: Period, zone: str) -> str:
    """2026-06-01 to 2026-06-30: the local days of a period."""
    place = ZoneInfo(zone)
    return f"{period.start.astimezone(place).date()} to {last_day(period, place)}"


def _difference(state: BillingState, paid: list[FeeAhead], present: Iterable[Line]) -> list[Line]:
    gross, net = total(fee.gross for fee in paid), total(fee.net for fee in paid)
    change = EXACT.subtract(total(line.amount for line in present), gross)
    amount = _at_net(change, gross, net)
    printed = round_minor(amount, state.currency, state.rounding)
    if not printed:
        return []
    fee = paid[0]
    return [
        Line(
            kind="PRORATION",
            code=fee.code,
            description=f"{fee.name}, {days_of(state.cycle, state.zone)}: changed since it was billed in advance",
            quantity=ONE,
            unrounded=amount,
            amount=printed,
            adjusts=AHEAD,
            ahead_of=state.cycle.start,
            plan=fee.plan,
        )
    ]


def _at_net(change: Decimal, gross: Decimal, net: Decimal) -> Decimal:
    """A change of what was billed, with its discount: of 100.00 billed as 90.00, −50.00 are −45.00."""
    return change if gross == ZERO else EXACT.divide(EXACT.multiply(change, net), gross)
