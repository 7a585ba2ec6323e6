"""Commitment: a contract's least and most spend become a true-up or a cap.

After rating, because it compares with what the lines come to; before discount, so that a discount is taken of the
committed amount too: 80.00 used, minimum 100.00, 10 % off is 90.00 and not 100.00 (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor

from ...proration import prorated, share
from ..contracts import in_force
from ..state import ZERO, BillingState, Contract, Explanation, Line
from ..trace import explained

READS = frozenset({"contracts", "lines", "period", "cycle", "zone", "currency", "rounding"})
WRITES = frozenset({"lines"})

# Setup fees and taxes do not count towards a commitment, and neither do adjustments of earlier periods.
COUNTED_KINDS = frozenset({"CHARGE", "USAGE_FEE", "PRORATION"})


def run(state: BillingState) -> BillingState:
    """80.00 used, minimum 100.00: a true-up line of 20.00; 120.00 used, maximum 100.00: a cap line of −20.00."""
    counted = total(line.amount for line in state.lines if line.kind in COUNTED_KINDS and not line.adjusts)
    minimum, why_minimum = _committed(state, "minimum", lambda contract: contract.minimum_amount)
    maximum, why_maximum = _committed(state, "maximum", lambda contract: contract.maximum_amount)
    code = "+".join(contract.code for contract, _ in in_force(state.contracts, state.period))
    lines: list[Line] = []
    why = [*why_minimum, *why_maximum]
    if minimum is not None and counted < minimum:
        lines.append(_line("TRUE_UP", code, "Minimum commitment", EXACT.subtract(minimum, counted)))
        why.append(explained("commitment", "true_up", code, counted=counted, amount=lines[-1].amount))
    if maximum is not None and max(counted, minimum or ZERO) > maximum:
        reached = max(counted, minimum or ZERO)
        lines.append(_line("CAP", code, "Maximum commitment", EXACT.subtract(maximum, reached)))
        why.append(explained("commitment", "cap", code, counted=reached, amount=lines[-1].amount))
    return replace(state, lines=(*state.lines, *lines), trace=(*state.trace, *why))


def _committed(
    state: BillingState, what: str, amount_of: Callable[[Contract], Decimal | None]
) -> tuple[Decimal | None, list[Explanation]]:
    """What the contracts in force commit to in this period, by the days of their terms in it; None for nothing.

    Contracts that follow each other in one period add up. A maximum binds only where every one of them has one.
    """
    why: list[Explanation] = []
    shares: list[Decimal] = []
    found = in_force(state.contracts, state.period)
    for contract, overlap in found:
        amount = amount_of(contract)
        if amount is None:
            continue
        part, whole = share(state.cycle, overlap, basis="day", zone=ZoneInfo(state.zone))
        shares.append(prorated(amount, part, whole))
        why.append(explained("commitment", what, contract.code, committed=amount, part=part, whole=whole))
    if not shares or (what == "maximum" and len(shares) < len(found)):
        return None, why
    return round_minor(total(shares), state.currency, state.rounding), why


def _line(kind: str, code: str, description: str, amount: Decimal) -> Line:
    return Line(
        kind=kind, code=code, description=description, quantity=Decimal(1), unrounded=amount, amount=amount
    )
