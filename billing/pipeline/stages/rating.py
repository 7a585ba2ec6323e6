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
from ..state import BillingState, Charge, Explanation, Issue, Line
from ..trace import explained, texts

READS = frozenset(
    {"charges", "billables", "currency", "rounding", "zone", "period", "cycle", "closed", "reruns"}
)
WRITES = frozenset({"lines"})


def run(state: BillingState) -> BillingState:
    """One line for each charge, by position; fees for a cut period by its share of the cycle; then the adjustments of
    earlier periods.

    15,000 calls, 0.010 to 1,000, 0.008 to 10,000, then 0.005: 10.00 + 72.00 + 25.00 = 107.00.
    """
    billables = {each.charge: each for each in state.billables}
    lines: list[Line] = []
    issues: list[Issue] = []
    why: list[Explanation] = []
    for charge in sorted(state.charges, key=lambda charge: (charge.position, charge.code)):
        if charge.kind == "FEE":
            quantity, billable = Decimal(1), Billable(units=Decimal(1))
        else:
            found = billables[charge.code]
            quantity = found.metered
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
        line, reasons = _line(state, charge, quantity, price)
        lines.append(line)
        why += reasons
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


def _line(
    state: BillingState, charge: Charge, quantity: Decimal, price: Price
) -> tuple[Line, list[Explanation]]:
    kind, name, amount = "USAGE_FEE" if charge.kind == "USAGE" else "CHARGE", charge.name, price.amount
    why = []
    if charge.kind == "FEE" and state.period != state.cycle:
        part, whole = share(state.cycle, state.period, basis=charge.proration, zone=ZoneInfo(state.zone))
        kind, name, amount = (
            "PRORATION",
            f"{name} ({part} of {whole} {charge.proration}s)",
            prorated(amount, part, whole),
        )
        why.append(
            explained(
                "rating", "prorated", charge.code, fee=price.amount, part=part, whole=whole, amount=amount
            )
        )
    printed = round_minor(amount, state.currency, state.rounding)
    why.append(
        explained("rating", "rounded", charge.code, unrounded=amount, amount=printed, rounding=state.rounding)
    )
    line = Line(
        kind=kind,
        code=charge.code,
        description=name,
        quantity=quantity,
        unrounded=amount,
        amount=printed,
        tiers=price.gross.breakdown,
    )
    return line, why


def _explained(charge: Charge, price: Price) -> list[Explanation]:
    why = [
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
