"""Tax: each rate on the discounted sum, rounded once.

After discount, because tax is due on what is paid; before routing, because a wallet pays the tax too: net 100.00, 19 %,
wallet 50.00 is 69.00 due and not 59.50 (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from aforo.kernel.canonical import sha256_hex
from aforo.kernel.periods import last_day

from .. import vat
from ..state import ZERO, BillingState, Explanation, Issue, TaxExemption, TaxLine, TaxRate
from ..tax_quotes import NEEDED, QUESTION, question_of
from ..tax_rates import taxes_of
from ..totals import net_of
from ..trace import explained, texts

READS = frozenset(
    {"lines", "tax_profile", "currency", "rounding", "rule_version", "period", "zone"}
    # What an outside engine is told.
    | {"customer", "subscription", "charges", "cycle"}
)
WRITES = frozenset({"taxes"})


def run(state: BillingState) -> BillingState:
    """5 lines of 84.03 at 19 %: 420.15 × 0.19 = 79.8285 → 79.83; line by line it would be 79.85."""
    profile = state.tax_profile
    if profile.is_exempt:
        return _without(state, "exempt")
    if profile.engine:
        return _quoted(state) if state.lines else _without(state, "none")
    treatment = vat.treatment_of(profile)
    if treatment == vat.REVERSE_CHARGE:
        return _reverse_charged(state)
    exempted, rates, issues = _after_exemptions(state)
    if exempted or rates:
        taxes = taxes_of(state, rates)
        why = [
            *(_exempt_explained(each) for each in exempted),
            *(_explained(tax, rate) for tax, rate in zip(taxes, rates, strict=True)),
        ]
        lines = tuple(_untaxed(state, "Exempt", "EXEMPT", _exempt_note(each)) for each in exempted)
        return _taxed(state, (*lines, *taxes), why, issues)
    if treatment == vat.OUT_OF_SCOPE:
        line = _untaxed(state, "VAT", treatment, vat.NOTES[treatment])
        why = [
            explained(
                "tax", "out_of_scope", profile.jurisdiction, country=profile.country, taxable=line.taxable
            )
        ]
        return _taxed(state, (line,), why)
    return _without(state, "none", _rate_missing(profile.jurisdiction))


def _without(state: BillingState, code: str, issues: Iterable[Issue] = ()) -> BillingState:
    return _taxed(state, (), [explained("tax", code, state.tax_profile.jurisdiction, amount=ZERO)], issues)


def _taxed(
    state: BillingState, taxes: tuple[TaxLine, ...], why: Iterable[Explanation], issues: Iterable[Issue] = ()
) -> BillingState:
    return replace(state, taxes=taxes, issues=(*state.issues, *issues), trace=(*state.trace, *why))


def _rate_missing(jurisdiction: str) -> Iterable[Issue]:
    if jurisdiction:
        yield Issue(
            severity="warning",
            code="tax_rate_missing",
            sentence=f"No tax rate is in force for {jurisdiction}; no tax is charged.",
            facts=texts(jurisdiction=jurisdiction),
        )


def _quoted(state: BillingState) -> BillingState:
    """The taxes of the outside engine's recorded answer; without one, the question, which stops the run until it is asked."""
    profile = state.tax_profile
    question = question_of(state)
    quote = profile.quote
    if quote is None or quote.question != sha256_hex(question.encode()):
        needed = Issue(
            severity="pending",
            code=NEEDED,
            sentence=f"The tax engine {profile.engine!r} has not answered yet for this invoice.",
            facts=((QUESTION, question),),
        )
        return replace(state, issues=(*state.issues, needed))
    taxes = tuple(
        TaxLine(
            jurisdiction=tax.jurisdiction,
            name=tax.name,
            percent=tax.percent,
            is_inclusive=False,
            taxable=tax.taxable,
            amount=tax.amount,
            note=tax.note,
        )
        for tax in quote.taxes
    )
    why = [
        explained(
            "tax",
            "quoted",
            tax.jurisdiction,
            name=tax.name,
            engine=profile.engine,
            reference=quote.reference,
            percent=tax.percent,
            taxable=tax.taxable,
            amount=tax.amount,
        )
        for tax in taxes
    ]
    return _taxed(state, taxes, why)


def _reverse_charged(state: BillingState) -> BillingState:
    profile = state.tax_profile
    line = _untaxed(state, "VAT", vat.REVERSE_CHARGE, vat.NOTES[vat.REVERSE_CHARGE])
    confirmed_on = profile.vat_confirmed_on
    why = explained(
        "tax",
        "reverse_charge",
        profile.jurisdiction,
        vat_number=profile.vat_number,
        evidence=f"confirmed on {confirmed_on}" if confirmed_on else "only its digits checked",
        taxable=line.taxable,
    )
    issues = []
    if not profile.seller_vat_number:
        issues.append(
            Issue(
                severity="warning",
                code="seller_vat_number_missing",
                sentence="A reverse-charge invoice names the seller's VAT number; set it in the billing profile.",
            )
        )
    return _taxed(state, (line,), [why], issues)


def _after_exemptions(state: BillingState) -> tuple[list[TaxExemption], list[TaxRate], list[Issue]]:
    """The certificates that take effect, the rates they leave, and a warning for each that has run out."""
    profile, on = state.tax_profile, last_day(state.period, ZoneInfo(state.zone))
    # Without rates, a certificate says why.
    owed = [rate.jurisdiction or profile.jurisdiction for rate in profile.rates] or [profile.jurisdiction]
    exempted = [
        each
        for each in profile.exemptions
        if _is_in_force(each, on) and any(_covers(each, place) for place in owed)
    ]
    rates = [
        rate
        for rate in profile.rates
        if not any(_covers(each, rate.jurisdiction or profile.jurisdiction) for each in exempted)
    ]
    left = [rate.jurisdiction or profile.jurisdiction for rate in rates]
    issues = [
        Issue(
            severity="warning",
            code="exemption_expired",
            sentence=f"The exemption certificate {each.number} ended on {each.ends_on}; tax is charged.",
            facts=texts(number=each.number, jurisdiction=each.jurisdiction, ends_on=str(each.ends_on)),
        )
        for each in profile.exemptions
        if not _is_in_force(each, on) and any(_covers(each, place) for place in left)
    ]
    return exempted, rates, issues


def _is_in_force(exemption: TaxExemption, on: date) -> bool:
    return exemption.starts_on <= on and (exemption.ends_on is None or on < exemption.ends_on)


def _covers(exemption: TaxExemption, jurisdiction: str) -> bool:
    """US covers US-NY and US-NY-NYC, and not USVI."""
    return not exemption.jurisdiction or f"{jurisdiction}-".startswith(f"{exemption.jurisdiction}-")


def _untaxed(state: BillingState, name: str, treatment: str, note: str) -> TaxLine:
    """A line of no tax, which says why."""
    return TaxLine(
        jurisdiction=state.tax_profile.jurisdiction,
        name=name,
        percent=ZERO,
        is_inclusive=False,
        taxable=net_of(state),
        amount=ZERO,
        treatment=treatment,
        note=note,
    )


def _exempt_note(exemption: TaxExemption) -> str:
    return f"Exempt from tax by certificate {exemption.number} ({exemption.reason})."


def _exempt_explained(exemption: TaxExemption) -> Explanation:
    return explained(
        "tax", "certificate", exemption.jurisdiction, number=exemption.number, reason=exemption.reason
    )


def _explained(tax: TaxLine, rate: TaxRate) -> Explanation:
    code = "inclusive" if tax.is_inclusive else "exclusive"
    return explained(
        "tax",
        f"compound_{code}" if rate.is_compound else code,
        tax.jurisdiction,
        name=tax.name,
        percent=tax.percent,
        taxable=tax.taxable,
        amount=tax.amount,
    )
