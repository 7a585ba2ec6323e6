"""Rating: billable quantities become priced lines.

After allowance, which leaves billable units only; before commitment, which looks at priced lines. A price keeps full
precision until its line is printed, and is rounded there, once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT
from aforo.kernel.money import round_minor

from ... import pricing
from ...pricing.terms import ZERO, Billable, InvalidTerms, Rated, Terms
from ...proration import prorated, share
from ..adjustments import adjusted
from ..advance import days_of, left_over, settled
from ..state import ONE, BillingState, Charge, Explanation, Issue, Line, SetupFee, Span
from ..trace import explained, texts

READS = frozenset(
    {
        "charges",
        "billables",
        "currency",
        "rounding",
        "zone",
        "period",
        "cycle",
        "closed",
        "reruns",
        "setup_fees",
        "fees_ahead",
        "credits_left",
    }
)
WRITES = frozenset({"lines"})


def run(state: BillingState) -> BillingState:
    """The setup fees; a line for each charge, by position, of a fee for each of its spans, those that are cut by their share
    of the cycle; what settles fees that were billed in advance; then the adjustments of earlier periods.

    15,000 calls, 0.010 to 1,000, 0.008 to 10,000, then 0.005: 10.00 + 72.00 + 25.00 = 107.00.
    """
    billables = {each.charge: each for each in state.billables}
    lines: list[Line] = [_setup_line(state, fee) for fee in state.setup_fees]
    issues: list[Issue] = []
    why: list[Explanation] = []
    for charge in sorted(state.charges, key=lambda charge: (charge.position, charge.code)):
        if charge.kind == "FEE":
            billable = Billable(units=ONE)
        else:
            found = billables[charge.code]
            billable = Billable(units=found.billable, transaction_count=found.event_count)
        try:
            pricing.check(charge.terms)
            price = priced(billable, charge.terms, charge.minimum_amount, charge.maximum_amount)
        except InvalidTerms as error:
            issues.append(
                Issue(
                    severity="critical",
                    code="terms_invalid",
                    sentence=f"{charge.name}: {error}.",
                    subject=charge.code,
                    facts=texts(term=error.field),
                )
            )
            continue
        why += _explained(charge, price)
        if charge.kind == "FEE":
            due: list[Line] = []
            for span in charge.spans or (Span(period=state.period),):
                fee_lines, reasons = _fee_lines(state, charge, span, price)
                due += fee_lines
                why += reasons
            lines += settled(state, charge, due)
        else:
            line, reason = _line(state, charge, "USAGE_FEE", charge.name, found.metered, price.amount, price)
            lines.append(line)
            why.append(reason)
    lines += left_over(state)
    for closed, rerun in zip(state.closed, state.reruns, strict=True):
        adjusting, reasons = adjusted(closed, rerun)
        lines += adjusting
        why += reasons
    return replace(state, lines=tuple(lines), issues=(*state.issues, *issues), trace=(*state.trace, *why))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's price inside the charge's bounds: gross + true_up − capped = amount, unrounded."""

    gross: Rated
    true_up: Decimal
    capped: Decimal
    amount: Decimal


def priced(billable: Billable, terms: Terms, minimum: Decimal | None, maximum: Decimal | None) -> Price:
    """The model's price, raised to the minimum and cut at the maximum where the charge has them.

    Raises InvalidTerms where the model cannot price these units.

    4.20 with a minimum of 5.00: gross 4.20, true_up 0.80, amount 5.00.
    """
    gross = pricing.price(billable, terms)
    raised = gross.amount if minimum is None else max(gross.amount, minimum)
    amount = raised if maximum is None else min(raised, maximum)
    return Price(
        gross=gross,
        true_up=EXACT.subtract(raised, gross.amount),
        capped=EXACT.subtract(raised, amount),
        amount=amount,
    )


def _fee_lines(
    state: BillingState, charge: Charge, span: Span, price: Price
) -> tuple[list[Line], list[Explanation]]:
    """The line of one span; none where it has no day of the cycle, or a quantity of zero.

    30.00, held twice from 16 June to 1 July: 60.00 × 15 of 30 days, 30.00.
    """
    fee = EXACT.multiply(price.amount, span.quantity)
    cycle = span.of or state.cycle
    name = charge.name if span.of is None else f"{charge.name}, {days_of(span.period, state.zone)}"
    if span.period == cycle:
        part, whole = 1, 1
        kind, amount, why = "CHARGE", fee, []
    else:
        part, whole = share(cycle, span.period, basis=charge.proration, zone=ZoneInfo(state.zone))
        amount = prorated(fee, part, whole)
        kind, name = "PRORATION", f"{name} ({part} of {whole} {charge.proration}s)"
        why = [explained("rating", "prorated", charge.code, fee=fee, part=part, whole=whole, amount=amount)]
    if charge.spans and not (part and span.quantity):
        return [], why
    line, reason = _line(state, charge, kind, name, span.quantity, amount, price)
    if span.of is not None:
        line = replace(line, ahead_of=span.of.start, plan=charge.plan)
    return [line], [*why, reason]


def _setup_line(state: BillingState, fee: SetupFee) -> Line:
    return Line(
        kind="SETUP_FEE",
        code=fee.code,
        description=f"Setup fee, {fee.name}",
        quantity=ONE,
        unrounded=fee.amount,
        amount=round_minor(fee.amount, state.currency, state.rounding),
    )


def _line(
    state: BillingState,
    charge: Charge,
    kind: str,
    description: str,
    quantity: Decimal,
    amount: Decimal,
    price: Price,
) -> tuple[Line, Explanation]:
    printed = round_minor(amount, state.currency, state.rounding)
    line = Line(
        kind=kind,
        code=charge.code,
        description=description,
        quantity=quantity,
        unrounded=amount,
        amount=printed,
        tiers=price.gross.breakdown,
    )
    return line, explained(
        "rating", "rounded", charge.code, unrounded=amount, amount=printed, rounding=state.rounding
    )


def _explained(charge: Charge, price: Price) -> list[Explanation]:
    why = []
    if charge.priced_by:
        why.append(explained("rating", "contract", charge.code, contract=charge.priced_by))
    why += [
        explained(
            "rating",
            "tier",
            charge.code,
            model=charge.terms.model,
            tier=row.tier,
            quantity=row.quantity,
            unit_price=row.unit_price,
            flat_fee=row.flat_fee,
            amount=row.amount,
        )
        for row in price.gross.breakdown
    ]
    if price.true_up > ZERO:
        why.append(
            explained("rating", "minimum", charge.code, gross=price.gross.amount, true_up=price.true_up)
        )
    if price.capped > ZERO:
        why.append(explained("rating", "maximum", charge.code, capped=price.capped, amount=price.amount))
    return why
