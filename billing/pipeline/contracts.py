"""Contracts in force: which terms meet the billed period, what counts towards them, and what is committed by when.

Commitment periods are counted in whole billing periods from the one in which the contract starts, so that a true-up falls
on an invoice; their amounts count by the days of the term in them (docs/decisions/0017-commitment-periods.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Protocol
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import INTERVAL_MONTHS, Cycle
from aforo.kernel.decimals import total
from aforo.kernel.money import round_minor
from aforo.kernel.periods import Period

from ..proration import prorated, share
from .state import BillingState, Commitment, Contract, Explanation
from .totals import COMMITMENT_KINDS
from .trace import explained

# Setup fees and taxes do not count towards a commitment.
COUNTED_KINDS = frozenset({"CHARGE", "USAGE_FEE", "PRORATION"})


class Scope(Protocol):
    """What a term is about: a product's code, a meter's key, or with neither of them everything."""

    @property
    def product(self) -> str: ...
    @property
    def meter(self) -> str: ...


def in_force(contracts: Iterable[Contract], period: Period) -> tuple[tuple[Contract, Period], ...]:
    """(contract, overlap) for each contract whose term meets the period, in order of time."""
    met = [(contract, contract.term.overlap(period)) for contract in contracts]
    found = [(contract, overlap) for contract, overlap in met if overlap is not None]
    return tuple(sorted(found, key=lambda each: (each[1].start, each[0].code)))


def committed(
    state: BillingState, what: str, amount_of: Callable[[Contract], Decimal | None]
) -> tuple[Decimal | None, list[Explanation]]:
    """What the contracts in force commit to in each billing period, by the days of their terms in it; None for nothing.

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


def is_in_scope(scope: Scope, charge: Scope | None) -> bool:
    """Whether a term is about what a charge bills; with no charge known, only one about everything."""
    if not scope.product and not scope.meter:
        return True
    if charge is None:
        return False
    return charge.product == scope.product if scope.product else charge.meter == scope.meter


def code_of(contract: str, scope: Scope) -> str:
    """What a commitment's lines are called: acme-2026, acme-2026:product:api, acme-2026:meter:api.call."""
    if scope.product:
        return f"{contract}:product:{scope.product}"
    return f"{contract}:meter:{scope.meter}" if scope.meter else contract


def counts(
    kind: str, code: str, *, commitment: Commitment, contract: Contract, charges: Mapping[str, Scope]
) -> bool:
    """Whether a line of this kind and code counts towards a commitment of the contract.

    charges: those of the line's invoice, by code. Beside the scope's own lines, a wider commitment counts what a narrower one
    has added, so that nothing is charged twice; and a maximum counts what the minimum of its own scope has added.
    """
    if kind in COUNTED_KINDS:
        return is_in_scope(commitment, charges.get(code))
    if kind not in COMMITMENT_KINDS:
        return False
    if code == code_of(contract.code, commitment):
        return commitment.kind == "MAXIMUM" and kind == "TRUE_UP"
    return any(
        code == code_of(contract.code, other) and _is_wider(commitment, other, charges)
        for other in contract.commitments
    )


def _is_wider(scope: Scope, other: Scope, charges: Mapping[str, Scope]) -> bool:
    """Whether all that *other* is about is in the scope, too: of a meter, whose charges are all of one product."""
    if not scope.product and not scope.meter:
        return bool(other.product or other.meter)
    priced = [charge.product for charge in charges.values() if other.meter and charge.meter == other.meter]
    return bool(scope.product and priced) and set(priced) == {scope.product}


def own_line(commitment: Commitment, contract: Contract) -> tuple[str, str]:
    """(kind, code) of the lines that a commitment adds."""
    kind = "TRUE_UP" if commitment.kind == "MINIMUM" else "CAP"
    return kind, code_of(contract.code, commitment)


def narrower_first(contract: Contract) -> list[Commitment]:
    """Meters, products, the whole; of each scope the minimum before the maximum."""
    return sorted(
        contract.commitments,
        key=lambda each: (
            not each.meter,
            not each.product,
            each.spans,
            each.kind == "MAXIMUM",
            each.product,
            each.meter,
        ),
    )


def commitment_spans(
    cycle: Cycle, *, starts_at: datetime, at: datetime, period: str, true_up: str
) -> tuple[Period, ...]:
    """The commitment period that holds an instant, cut where its true-ups are.

    cycle: the subscription's. starts_at: the contract's start. period, true_up: month, quarter or year.

    From 16 June 2026 by calendar months, a year with quarterly true-ups: [1 June, 1 September) … [1 March, 1 June 2027).
    """
    months = INTERVAL_MONTHS[cycle.interval]
    length, step = INTERVAL_MONTHS[period] // months, INTERVAL_MONTHS[true_up] // months
    first = cycle.index_at(starts_at)
    start = first + (cycle.index_at(at) - first) // length * length
    return tuple(
        Period(cycle.boundary(index), cycle.boundary(index + step))
        for index in range(start, start + length, step)
    )


def is_present(commitment: Commitment, cycle: Period) -> bool:
    """Whether the commitment still runs in the billing period; else it is over, and only corrected."""
    return cycle.start < commitment.active.end


def due_at(commitment: Commitment, cycle: Period) -> datetime:
    """When the next true-up of a commitment falls due, seen from a billing period; at the latest at its end."""
    ends = (min(span.end, commitment.active.end) for span in commitment.spans)
    return next((end for end in ends if end > cycle.start), cycle.end)


def is_due(commitment: Commitment, cycle: Period) -> bool:
    """Whether the invoice of a billing period settles the commitment; a maximum holds on every one."""
    return commitment.kind == "MAXIMUM" or due_at(commitment, cycle) <= cycle.end


def committed_by(commitment: Commitment, until: datetime, state: BillingState) -> Decimal:
    """What of the amount is committed by the end of the spans that begin before *until*, by the days that are active.

    100,000 a year by quarters, until 1 July: 50,000; from a term that begins on 16 February, 44 of 90 days of the first.
    """
    begun = [span for span in commitment.spans if span.start < until]
    parts = [share(span, commitment.active, basis="day", zone=ZoneInfo(state.zone)) for span in begun]
    fraction = sum((Fraction(part, whole) for part, whole in parts), Fraction(0)) / len(commitment.spans)
    amount = prorated(commitment.amount, fraction.numerator, fraction.denominator)
    return round_minor(amount, state.currency, state.rounding)
