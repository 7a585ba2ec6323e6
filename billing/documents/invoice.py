"""The invoice and its trace as pages: printable, complete in themselves, with nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from babel import Locale
from django.template.loader import render_to_string

from aforo.kernel.periods import Period, last_day

from ..models import Invoice, InvoiceLine, InvoiceTax
from ..pipeline.adjustments import subject_of
from ..proof import sealed_tax
from ..selectors.profiles import billing_profile_for
from .numbers import DEFAULT, day_text, money_text, number_text
from .sentences import STAGE_NAMES, sentence

# Codes of charges, contracts and coupons may be the same word; the stage says which is meant.
STAGES_OF_CHARGE = ("quota", "rollover", "aggregation", "allowance", "rating")
STAGES_OF_ADJUSTMENT = ("rating", "discount")
STAGES_OF_LINE = {"TRUE_UP": ("commitment",), "CAP": ("commitment",), "DISCOUNT": ("discount",)}


@dataclass(frozen=True, slots=True)
class Said:
    """One explanation as it reads. subject: what it is about, such as a charge's code; may be empty."""

    code: str
    subject: str
    sentence: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class StageTrace:
    """One stage's part of a trace. name: as people see it. hash: over what the stage wrote, with its explanations."""

    stage: str
    name: str
    hash: str
    explanations: tuple[Said, ...]


def trace_of(invoice: Invoice, locale: Locale = DEFAULT) -> tuple[StageTrace, ...]:
    """The invoice's stages in order, each with what it has to say."""
    said: dict[str, list[Said]] = {}
    for each in invoice.trace:
        said.setdefault(each["stage"], []).append(
            Said(each["code"], each["subject"], sentence(each, locale), dict(each["facts"]))
        )
    return tuple(
        StageTrace(
            stage=stamp["stage"],
            name=STAGE_NAMES.get(stamp["stage"], stamp["stage"]),
            hash=stamp["hash"],
            explanations=tuple(said.get(stamp["stage"], ())),
        )
        for stamp in invoice.stage_hashes
    )


def invoice_html(
    invoice: Invoice, lines: Iterable[InvoiceLine], taxes: Iterable[InvoiceTax], *, locale: Locale = DEFAULT
) -> str:
    """The invoice's page; the same rows and locale give the same bytes."""
    return render_to_string("billing/invoice.html", invoice_context(invoice, lines, taxes, locale=locale))


def invoice_context(
    invoice: Invoice, lines: Iterable[InvoiceLine], taxes: Iterable[InvoiceTax], *, locale: Locale = DEFAULT
) -> dict[str, Any]:
    """What a page shows of an invoice, all of it text as people read it."""

    def money(amount: Decimal) -> str:
        return money_text(amount, invoice.currency, locale)

    trace, taxes = trace_of(invoice, locale), list(taxes)
    return {
        **_head(invoice, locale),
        "lines": [_line(line, trace, money, locale) for line in lines],
        "totals": list(_totals(invoice, taxes, money, locale)),
        "notes": [tax.note for tax in taxes if tax.note],
        "due": money(invoice.due_amount),
        "due_on": day_text(invoice.due_on, locale) if invoice.due_on else "",
        "issues": invoice.issues,
    }


def trace_html(invoice: Invoice, *, locale: Locale = DEFAULT) -> str:
    """How the invoice came to be, stage by stage."""
    context = {**_head(invoice, locale), "stages": trace_of(invoice, locale), "issues": invoice.issues}
    return render_to_string("billing/invoice_trace.html", context)


def _head(invoice: Invoice, locale: Locale) -> dict[str, Any]:
    zone = invoice.customer.zone
    seller = billing_profile_for(invoice.tenant)
    tax = sealed_tax(bytes(invoice.sealed_input))
    first = invoice.period_start.astimezone(zone).date()
    last = last_day(Period(invoice.period_start, invoice.period_end), zone)
    return {
        "invoice": invoice,
        "lang": str(locale).replace("_", "-"),
        "seller_name": seller.legal_name,
        "seller_address": seller.legal_address,
        "seller_vat_number": tax.seller_vat_number,
        "customer_vat_number": tax.vat_number,
        "title": invoice.number or "Draft invoice",
        "issued_on": day_text(invoice.issued_at.astimezone(zone).date(), locale) if invoice.issued_at else "",
        "period": f"{day_text(first, locale)} – {day_text(last, locale)}",
        "zone": zone.key,
    }


def _line(
    line: InvoiceLine, trace: tuple[StageTrace, ...], money: Callable[[Decimal], str], locale: Locale
) -> dict[str, Any]:
    is_usage = line.kind == InvoiceLine.Kind.USAGE_FEE
    # What an earlier period is adjusted by is not what this one says of the same charge.
    subject = subject_of(line.code, line.adjusts) if line.adjusts else line.code
    stages = STAGES_OF_ADJUSTMENT if line.adjusts else STAGES_OF_LINE.get(line.kind, STAGES_OF_CHARGE)
    return {
        "description": line.description,
        "quantity": number_text(line.quantity, locale) if is_usage else "",
        "amount": money(line.amount),
        "tiers": [_tier(tier, locale) for tier in line.tiers] if is_usage else [],
        "why": [
            said.sentence
            for stage in trace
            if stage.stage in stages
            for said in stage.explanations
            # The tiers stand in rows of their own.
            if said.subject == subject and said.code != "rating.tier"
        ],
    }


def _tier(tier: Mapping[str, Any], locale: Locale) -> dict[str, str]:
    return {name: number_text(str(value), locale) for name, value in tier.items()}


def _totals(
    invoice: Invoice, taxes: Iterable[InvoiceTax], money: Callable[[Decimal], str], locale: Locale
) -> Iterable[tuple[str, str]]:
    yield "Subtotal", money(invoice.subtotal)
    if invoice.commitment:
        yield "Commitment", money(invoice.commitment)
    if invoice.discount:
        yield "Discount", money(invoice.discount)
    for tax in taxes:
        if tax.treatment:
            yield tax.name, money(tax.amount)
            continue
        contained = ", contained" if tax.is_inclusive else ""
        of = money(tax.taxable_amount)
        yield f"{tax.name} ({number_text(tax.percent, locale)} % of {of}{contained})", money(tax.amount)
    yield "Total", money(invoice.total)
    if invoice.wallet_amount:
        yield "Paid from wallet", money(-invoice.wallet_amount)
