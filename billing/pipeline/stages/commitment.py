"""Commitment: a contract's least and most spend become a true-up or a cap.

After rating, because it compares with what the lines come to; before discount, so that a discount is taken of the
committed amount too: 80.00 used, minimum 100.00, 10 % off is 90.00 and not 100.00 (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, plain, total
from aforo.kernel.money import round_minor
from aforo.kernel.periods import Period, days_of

from ..contracts import (
    COUNTED_KINDS,
    committed,
    committed_by,
    counts,
    due_at,
    in_force,
    is_due,
    is_present,
    narrower_first,
    own_line,
)
from ..state import ZERO, BillingState, Charge, Commitment, Contract, Explanation, Issue, Line
from ..totals import COMMITMENT_KINDS
from ..trace import explained, texts

READS = frozenset(
    {"charges", "closed", "contracts", "lines", "period", "cycle", "zone", "currency", "rounding"}
)
WRITES = frozenset({"lines"})


def run(state: BillingState) -> BillingState:
    """80.00 used, minimum 100.00: a true-up line of 20.00; 120.00 used, maximum 100.00: a cap line of −20.00.

    Commitments to a product or a meter first, then those of each billing period, then those of the whole contract over
    longer periods; each counts what the ones before it have added.
    """
    found = [(contract, each) for contract in state.contracts for each in narrower_first(contract)]
    whole = [each for each in found if not each[1].product and not each[1].meter]
    state = _keep(state, [each for each in found if each not in whole])
    return _keep(_of_billing_period(state), whole)


def _of_billing_period(state: BillingState) -> BillingState:
    """The minimum and the maximum of each billing period."""
    kinds = COUNTED_KINDS | COMMITMENT_KINDS
    counted = total(line.amount for line in state.lines if line.kind in kinds and not line.adjusts)
    minimum, why_minimum = committed(state, "minimum", lambda contract: contract.minimum_amount)
    maximum, why_maximum = committed(state, "maximum", lambda contract: contract.maximum_amount)
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


def _keep(state: BillingState, commitments: list[tuple[Contract, Commitment]]) -> BillingState:
    """Each commitment with what this invoice owes to it, or gets back of it."""
    for contract, commitment in commitments:
        account = _account(state, contract, commitment)
        line, issues, why = _settled(state, account)
        state = replace(
            state,
            lines=(*state.lines, *line),
            issues=(*state.issues, *issues),
            trace=(*state.trace, *why),
        )
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """A commitment as this invoice finds it.

    counted: towards it, up to and with this invoice. settled: its true-ups or caps so far. room: what of this invoice's own
    lines is in its scope. adjusts: the invoice whose commitment period is corrected; empty for the present one.
    """

    code: str
    commitment: Commitment
    counted: Decimal
    settled: Decimal
    room: Decimal
    adjusts: str = ""


def _account(state: BillingState, contract: Contract, commitment: Commitment) -> _Account:
    """Adjustments of the commitment period's earlier invoices count as the lines that they change."""
    charges: dict[str, Mapping[str, Charge]] = {
        "": _by_code(state.charges),
        **{closed.invoice: _by_code(closed.input.charges) for closed in state.closed},
    }
    kind, code = own_line(commitment, contract)
    own = [line for line in state.lines if not line.adjusts]
    adjusting = [line for line in state.lines if line.adjusts in commitment.invoices]

    def counted(lines: list[Line]) -> Decimal:
        return total(
            line.amount
            for line in lines
            if counts(
                line.kind, line.code, commitment=commitment, contract=contract, charges=charges[line.adjusts]
            )
        )

    room, adjusted = counted(own), counted(adjusting)
    present = is_present(commitment, state.cycle)
    settled = total(line.amount for line in adjusting if (line.kind, line.code) == (kind, code))
    return _Account(
        code=code,
        commitment=commitment,
        counted=EXACT.add(commitment.counted, EXACT.add(adjusted, room) if present else adjusted),
        settled=EXACT.add(commitment.settled, settled),
        room=max(ZERO, room),
        adjusts="" if present else commitment.invoices[-1],
    )


def _by_code(charges: tuple[Charge, ...]) -> Mapping[str, Charge]:
    return {charge.code: charge for charge in charges}


def _settled(state: BillingState, account: _Account) -> tuple[list[Line], list[Issue], list[Explanation]]:
    """The line that brings the commitment to where it should be, if there is one.

    A minimum of 25,000 by 31 March, 18,000 counted: 7,000. By 30 June 50,000, of which 45,000 counted: 5,000 are missing in
    all, and of the 7,000 that were trued up 2,000 are earned back.
    """
    commitment, is_minimum = account.commitment, account.commitment.kind == "MINIMUM"
    due = due_at(commitment, state.cycle)
    until = due if is_minimum else commitment.spans[-1].end
    by_then = committed_by(commitment, until, state)
    first, last = days_of(_whole(commitment), ZoneInfo(state.zone))
    if not is_due(commitment, state.cycle):
        _, day = days_of(Period(state.cycle.start, due), ZoneInfo(state.zone))
        return (
            [],
            [],
            [
                explained(
                    "commitment",
                    "counting",
                    account.code,
                    committed=commitment.amount,
                    first=str(first),
                    last=str(last),
                    by_then=by_then,
                    counted=account.counted,
                    until=str(day),
                )
            ],
        )
    gap = EXACT.subtract(by_then, account.counted)
    owed = EXACT.subtract(max(ZERO, gap) if is_minimum else min(ZERO, gap), account.settled)
    # A correction of an earlier period is cut with the other adjustments.
    given = owed if account.adjusts else max(owed, EXACT.minus(account.room))
    issues = [] if given == owed else [_carried(state, account, EXACT.subtract(given, owed))]
    if not given:
        if account.adjusts:
            return [], issues, []
        kept = explained(
            "commitment",
            "kept",
            account.code,
            committed=commitment.amount,
            first=str(first),
            last=str(last),
            by_then=by_then,
            counted=account.counted,
        )
        return [], issues, [kept]
    kind, what = ("TRUE_UP", "Minimum") if is_minimum else ("CAP", "Maximum")
    name = commitment.product or commitment.meter
    of = f" of {name}" if name else ""
    back = " earned back" if is_minimum and given < ZERO else ""
    invoice = f" ({account.adjusts})" if account.adjusts else ""
    line = _line(kind, account.code, f"{what} commitment{of}{back}, {first} to {last}{invoice}", given)
    why = [
        explained(
            "commitment",
            "settled" if is_minimum else "held",
            account.code,
            committed=commitment.amount,
            first=str(first),
            last=str(last),
            by_then=by_then,
            counted=account.counted,
            before=account.settled,
            amount=given,
        )
    ]
    return [replace(line, adjusts=account.adjusts)], issues, why


def _whole(commitment: Commitment) -> Period:
    return Period(commitment.spans[0].start, commitment.spans[-1].end)


def _carried(state: BillingState, account: _Account, left: Decimal) -> Issue:
    printed = plain(round_minor(left, state.currency, state.rounding))
    return Issue(
        severity="warning",
        code="commitment_carried",
        sentence=f"{printed} {state.currency} that the commitment {account.code} gives back is left for the next invoice.",
        subject=account.code,
        facts=texts(room=account.room, left=left),
    )


def _line(kind: str, code: str, description: str, amount: Decimal) -> Line:
    return Line(
        kind=kind, code=code, description=description, quantity=Decimal(1), unrounded=amount, amount=amount
    )
