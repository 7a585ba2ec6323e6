"""Tax: each rate on the discounted sum, rounded once.

After discount, because tax is due on what is paid; before routing, because a wallet pays the tax too: net 100.00, 19 %,
wallet 50.00 is 69.00 due and not 59.50 (docs/decisions/0008).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor

from ..state import ZERO, BillingState, Explanation, Issue, Line, TaxLine, TaxRate
from ..totals import COMMITMENT_KINDS
from ..trace import explained, texts

READS = frozenset({"lines", "tax_profile", "currency", "rounding"})
WRITES = frozenset({"taxes"})
HUNDRED = Decimal(100)


def run(state: BillingState) -> BillingState:
    """5 lines of 84.03 at 19 %: 420.15 × 0.19 = 79.8285 → 79.83; line by line it would be 79.85."""
    profile = state.tax_profile
    if profile.is_exempt or not profile.rates:
        issues: tuple[Issue, ...] = ()
        if profile.jurisdiction and not profile.is_exempt:
            issues = (
                Issue(
                    severity="warning",
                    code="tax_rate_missing",
                    sentence=f"No tax rate is in force for {profile.jurisdiction}; no tax is charged.",
                    facts=texts(jurisdiction=profile.jurisdiction),
                ),
            )
        code = "exempt" if profile.is_exempt else "none"
        why = explained("tax", code, profile.jurisdiction, amount=ZERO)
        return replace(state, taxes=(), issues=(*state.issues, *issues), trace=(*state.trace, why))
    taxes = tuple(_taxed(state, rate) for rate in profile.rates)
    return replace(state, taxes=taxes, trace=(*state.trace, *(_explained(tax) for tax in taxes)))


def _taxed(state: BillingState, rate: TaxRate) -> TaxLine:
    """The rate's tax on the lines it applies to.

    An inclusive rate is contained: of 119.00 at 19 % it is 119.00 × 19 / 119 = 19.00, on 100.00. Where inclusive rates
    meet, each is taken of the price without any of them; an exclusive rate too.
    """
    gross_by_contained: dict[Decimal, Decimal] = {}
    for line in state.lines:
        if _applies(rate, line):
            contained = total(
                each.percent for each in state.tax_profile.rates if each.is_inclusive and _applies(each, line)
            )
            net = EXACT.add(line.amount, line.discount)
            gross_by_contained[contained] = EXACT.add(gross_by_contained.get(contained, ZERO), net)
    taxable = total(
        EXACT.divide(EXACT.multiply(gross, HUNDRED), EXACT.add(HUNDRED, contained))
        for contained, gross in gross_by_contained.items()
    )
    exact = EXACT.multiply(taxable, EXACT.scaleb(rate.percent, -2))
    return TaxLine(
        jurisdiction=state.tax_profile.jurisdiction,
        name=rate.name,
        percent=rate.percent,
        is_inclusive=rate.is_inclusive,
        taxable=round_minor(taxable, state.currency, state.rounding),
        amount=round_minor(exact, state.currency, state.rounding),
    )


def _applies(rate: TaxRate, line: Line) -> bool:
    return not rate.lines or (line.code in rate.lines and line.kind not in COMMITMENT_KINDS)


def _explained(tax: TaxLine) -> Explanation:
    return explained(
        "tax",
        "inclusive" if tax.is_inclusive else "exclusive",
        tax.jurisdiction,
        name=tax.name,
        percent=tax.percent,
        taxable=tax.taxable,
        amount=tax.amount,
    )
