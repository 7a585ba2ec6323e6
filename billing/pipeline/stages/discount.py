"""Discount: the contract's percentage, then the coupons in the order they were attached, each on what remains.

After commitment, because the committed amount is discounted too; before tax, because tax is due on what is paid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import allocate, round_minor

from ...proration import prorated, share
from ..adjustments import credits_within
from ..contracts import in_force
from ..state import ZERO, BillingState, DiscountLine
from ..totals import COMMITMENT_KINDS
from ..trace import explained

READS = frozenset({"contracts", "coupons", "lines", "period", "zone", "currency", "rounding"})
WRITES = frozenset({"lines", "discounts"})


def run(state: BillingState) -> BillingState:
    """100.00, 10 % off: −10.00; a coupon of 250.00 on 100.00 takes 100.00 and no more.

    Each discount is rounded once, then shared among the lines by largest remainder, so that the shares add up to it.
    Adjustments of earlier periods have their own discounts in them and take no part; what this invoice cannot give
    back of them is left for the next.
    """
    lines, discounts, why = tuple(line for line in state.lines if not line.adjusts), [], []
    for offer in _offers(state):
        remaining = [EXACT.add(line.amount, line.discount) for line in lines]
        scope = [
            not offer.lines or (line.code in offer.lines and line.kind not in COMMITMENT_KINDS)
            for line in lines
        ]
        # A cap lowers what all lines come to, so no discount takes more than the whole.
        base = max(ZERO, min(_inside(remaining, scope), total(remaining)))
        wanted = (
            EXACT.multiply(base, EXACT.scaleb(offer.percent, -2))
            if offer.percent is not None
            else offer.amount
        )
        amount = round_minor(max(ZERO, min(wanted, base)), state.currency, state.rounding)
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


def _offers(state: BillingState) -> list[_Offer]:
    offers = []
    for contract, overlap in in_force(state.contracts, state.period):
        if contract.discount_percent is not None:
            # A term that covers half of the period discounts half of it.
            part, whole = share(state.period, overlap, basis="day", zone=ZoneInfo(state.zone))
            percent = prorated(contract.discount_percent, part, whole)
            offers.append(
                _Offer(kind="CONTRACT", code=contract.code, description="Contract discount", percent=percent)
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
    return offers


def _inside(amounts: list[Decimal], scope: list[bool]) -> Decimal:
    return total(amount for amount, inside in zip(amounts, scope, strict=True) if inside)
