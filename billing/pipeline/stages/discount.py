"""Discount: the contract's percentages, then the coupons in the order they were attached, each on what remains.

After commitment, because the committed amount is discounted too; before tax, because tax is due on what is paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, plain, total, trimmed
from aforo.kernel.money import allocate, round_minor

from ...proration import prorated, share
from ..adjustments import credits_within
from ..contracts import (
    COUNTED_KINDS,
    committed,
    committed_by,
    counts,
    in_force,
    is_due,
    is_in_scope,
    is_present,
    own_line,
)
from ..metered import level_of, metered, usage_of
from ..state import (
    ZERO,
    BillingState,
    Contract,
    ContractDiscount,
    DiscountLine,
    Explanation,
    Issue,
    Line,
)
from ..totals import COMMITMENT_KINDS
from ..trace import explained, texts

READS = frozenset(
    {
        *("charges", "contracts", "coupons", "currency", "cycle", "lines", "period", "rounding"),
        *("rule_version", "usage", "zone"),
    }
)
WRITES = frozenset({"lines", "discounts"})


def run(state: BillingState) -> BillingState:
    """100.00, 10 % off: −10.00; a coupon of 250.00 on 100.00 takes 100.00 and no more.

    Each discount is rounded once, then shared among the lines by largest remainder, so that the shares add up to it.
    Adjustments of earlier periods have their own discounts in them and take no part; what this invoice cannot give
    back of them is left for the next.
    """
    lines, discounts = tuple(line for line in state.lines if not line.adjusts), []
    offers, why = _offers(state)
    earned_back = [line.kind == "TRUE_UP" and line.amount < ZERO for line in lines]
    for offer in offers:
        remaining = [EXACT.add(line.amount, line.discount) for line in lines]
        scope = [
            not offer.lines or (line.code in offer.lines and line.kind not in COMMITMENT_KINDS)
            for line in lines
        ]
        # A cap lowers what all lines come to, so no discount takes more than the whole. What is earned back was paid on
        # earlier invoices, and lowers no discount of a scope that it is not in.
        whole = total(remaining)
        base = max(
            ZERO, min(_inside(remaining, scope), EXACT.subtract(whole, _inside(remaining, earned_back)))
        )
        wanted = (
            EXACT.multiply(base, EXACT.scaleb(offer.percent, -2))
            if offer.percent is not None
            else offer.amount
        )
        amount = round_minor(max(ZERO, min(wanted, base, whole)), state.currency, state.rounding)
        weights = [max(ZERO, each) if inside else ZERO for each, inside in zip(remaining, scope, strict=True)]
        # EXACT.minus, because a sign alone would round to the thread's 28 digits.
        taken = EXACT.minus(amount)
        shares = allocate(taken, weights, state.currency)
        lines = tuple(
            replace(line, discount=EXACT.add(line.discount, part))
            for line, part in zip(lines, shares, strict=True)
        )
        discounts.append(
            DiscountLine(kind=offer.kind, code=offer.code, description=offer.description, amount=taken)
        )
        why.append(
            explained("discount", offer.kind.lower(), offer.code, base=base, wanted=wanted, amount=taken)
        )
    net = total(EXACT.add(line.amount, line.discount) for line in lines)
    adjusting = tuple(line for line in state.lines if line.adjusts)
    given, issues, reasons = credits_within(net, adjusting, state.currency)
    issues += _undercut(state, lines)
    return replace(
        state,
        lines=(*lines, *given),
        discounts=tuple(discounts),
        issues=(*state.issues, *issues),
        trace=(*state.trace, *why, *reasons),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    kind: str
    code: str
    description: str
    percent: Decimal | None = None
    amount: Decimal = ZERO
    lines: tuple[str, ...] = ()


def _offers(state: BillingState) -> tuple[list[_Offer], list[Explanation]]:
    offers, why = [], []
    for contract, overlap in in_force(state.contracts, state.period):
        # A term that covers half of the period discounts half of it.
        part, whole = share(state.period, overlap, basis="day", zone=ZoneInfo(state.zone))
        if contract.discount_percent is not None:
            percent = prorated(contract.discount_percent, part, whole)
            offers.append(
                _Offer(kind="CONTRACT", code=contract.code, description="Contract discount", percent=percent)
            )
        for step, lines, reached in _steps_reached(state, contract):
            percent = prorated(step.percent, part, whole)
            unit = step.threshold_meter or state.currency
            offers.append(
                _Offer(
                    kind="CONTRACT",
                    code=contract.code,
                    description=f"Contract discount from {trimmed(step.threshold)} {unit}",
                    percent=percent,
                    lines=lines,
                )
            )
            why.append(
                explained(
                    "discount",
                    "threshold",
                    contract.code,
                    reached=reached,
                    unit=unit,
                    threshold=step.threshold,
                    percent=percent,
                )
            )
    for coupon in state.coupons:
        offers.append(
            _Offer(
                kind="COUPON",
                code=coupon.code,
                description=coupon.name,
                percent=coupon.percent,
                amount=ZERO if coupon.amount is None else coupon.amount,
                lines=coupon.lines,
            )
        )
    return offers, why


def _steps_reached(
    state: BillingState, contract: Contract
) -> Iterator[tuple[ContractDiscount, tuple[str, ...], Decimal]]:
    """Of each scope the highest step whose threshold is reached, the charges that it is off (none: all), and how much it is.

    From 500,000 calls 10 %, from 1,000,000 calls 15 %: at 800,000 calls 10 % off all of them.
    """
    by_scope: dict[tuple[str, str, str], list[ContractDiscount]] = {}
    for step in contract.discounts:
        by_scope.setdefault((step.product, step.meter, step.threshold_meter), []).append(step)
    for steps in by_scope.values():
        scope = steps[0]
        codes = tuple(charge.code for charge in state.charges if is_in_scope(scope, charge))
        is_whole = not scope.product and not scope.meter
        if not is_whole and not codes:
            continue
        if scope.threshold_meter:
            reached = _units(state, scope.threshold_meter)
        else:
            reached = total(
                line.amount
                for line in state.lines
                if line.kind in COUNTED_KINDS and not line.adjusts and line.code in codes
            )
        found = [step for step in steps if step.threshold <= reached]
        if found:
            best = max(found, key=lambda step: step.threshold)
            yield best, () if is_whole else codes, reached


def _units(state: BillingState, meter: str) -> Decimal:
    """All that a meter measured in the period, in billed units, whichever charges bill which part of it."""
    charge = next((charge for charge in state.charges if charge.meter == meter), None)
    if charge is None:
        return ZERO
    every = replace(charge, filters=())
    return metered(every, usage_of(every, state.usage), state.period, level_of(every, state.usage)).units


def _undercut(state: BillingState, lines: tuple[Line, ...]) -> list[Issue]:
    """Minimums that discounts have brought what is paid below; nothing is added, because a minimum is of what is used."""
    issues = []
    minimum, _ = committed(state, "minimum", lambda contract: contract.minimum_amount)
    if state.follows("2") and minimum is not None:
        kinds = COUNTED_KINDS | COMMITMENT_KINDS
        paid = total(EXACT.add(line.amount, line.discount) for line in lines if line.kind in kinds)
        code = "+".join(contract.code for contract, _ in in_force(state.contracts, state.period))
        issues += _below(state, code, minimum, paid)
    charges = {charge.code: charge for charge in state.charges}
    for contract in state.contracts:
        for commitment in contract.commitments:
            if (
                commitment.kind == "MAXIMUM"
                or not is_present(commitment, state.cycle)
                or not is_due(commitment, state.cycle)
            ):
                continue
            own = own_line(commitment, contract)
            here = (
                EXACT.add(line.amount, line.discount)
                for line in lines
                if (line.kind, line.code) == own
                or counts(line.kind, line.code, commitment=commitment, contract=contract, charges=charges)
            )
            paid = EXACT.add(commitment.paid, total(here))
            issues += _below(state, own[1], committed_by(commitment, state.cycle.end, state), paid)
    return issues


def _below(state: BillingState, code: str, minimum: Decimal, paid: Decimal) -> list[Issue]:
    if paid >= minimum:
        return []
    least, most = (plain(round_minor(each, state.currency, state.rounding)) for each in (paid, minimum))
    return [
        Issue(
            severity="warning",
            code="minimum_undercut",
            sentence=f"Discounts bring what is paid to {least} {state.currency}, below the minimum of {most}.",
            subject=code,
            facts=texts(minimum=minimum, paid=paid),
        )
    ]


def _inside(amounts: list[Decimal], scope: list[bool]) -> Decimal:
    return total(amount for amount, inside in zip(amounts, scope, strict=True) if inside)
