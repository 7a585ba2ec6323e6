"""The pipeline's result to rows: the only writer. Each function belongs to its caller's one transaction.

A draft is rewritten as often as it is drafted; issuing gives it number, chain hash, ledger entries and wallet burns, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aforo.kernel.canonical import canonical_value, sha256_hex
from aforo.kernel.clock import now
from aforo.kernel.decimals import rounded

from . import proof
from .ledger.journal import Entry, book
from .models import (
    Invoice,
    InvoiceLine,
    InvoiceSequence,
    InvoiceTax,
    Subscription,
    WalletBurn,
)
from .pipeline.adjustments import marks_kept
from .pipeline.state import ZERO, BillingState
from .selectors.periods import last_day
from .selectors.profiles import billing_profile_for

QUANTITY_PLACES = 30
# What issuing adds to a draft.
ISSUED_FIELDS = ("number", "sequence", "issued_at", "due_on", "status", "previous_hash", "chain_hash")


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice with its lines and taxes, in order; not necessarily stored."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]
    taxes: tuple[InvoiceTax, ...]


def document_stored(invoice: Invoice) -> Document:
    """A stored invoice with its lines and taxes."""
    return Document(invoice, tuple(invoice.lines.all()), tuple(invoice.taxes.all()))


def document_of(state: BillingState, subscription: Subscription, *, draft: Invoice | None = None) -> Document:
    """The rows that a finished run makes, unsaved: what a preview shows and a draft stores. draft: whose place it takes."""
    tenant, totals = subscription.tenant, state.settlement.totals
    sealed = proof.seal(state)
    place = {} if draft is None else {"id": draft.pk, "created_at": draft.created_at}
    invoice = Invoice(
        **place,
        tenant=tenant,
        customer=subscription.customer,
        subscription=subscription,
        currency=state.currency,
        period_start=state.cycle.start,
        period_end=state.cycle.end,
        last_on=last_day(state.period, subscription.customer.zone),
        subtotal=totals.subtotal,
        commitment=totals.commitment,
        discount=totals.discount,
        tax=totals.tax,
        total=totals.total,
        wallet_amount=totals.wallet_amount,
        due_amount=totals.due_amount,
        engine_version=state.rule_version,
        sealed_input=sealed,
        input_hash=sha256_hex(sealed),
        result_hash=proof.result_hash(state),
        trace=canonical_value(state.trace),
        issues=canonical_value(state.issues),
        stage_hashes=canonical_value(state.stage_hashes),
        carried_out=canonical_value(state.carried_out),
        usage_marks=canonical_value(marks_kept(state)),
    )
    return Document(invoice, tuple(_lines(state, invoice)), tuple(_taxes(state, invoice)))


def _lines(state: BillingState, invoice: Invoice) -> list[InvoiceLine]:
    lines: list[dict[str, Any]] = [
        {
            "kind": line.kind,
            "code": line.code,
            "description": line.description,
            "quantity": rounded(line.quantity, places=QUANTITY_PLACES, mode="half_up"),
            "amount": line.amount,
            "discount": line.discount,
            "tiers": canonical_value(line.tiers),
            "adjusts": line.adjusts,
            "corrections": canonical_value(line.corrections),
        }
        for line in state.lines
    ]
    lines += [
        {
            "kind": InvoiceLine.Kind.DISCOUNT,
            "code": discount.code,
            "description": discount.description,
            "amount": discount.amount,
            "discount": ZERO,
        }
        for discount in state.discounts
    ]
    return [
        InvoiceLine(tenant=invoice.tenant, invoice=invoice, position=position, **line)
        for position, line in enumerate(lines, start=1)
    ]


def _taxes(state: BillingState, invoice: Invoice) -> list[InvoiceTax]:
    return [
        InvoiceTax(
            tenant=invoice.tenant,
            invoice=invoice,
            position=position,
            jurisdiction=tax.jurisdiction,
            name=tax.name,
            percent=tax.percent,
            is_inclusive=tax.is_inclusive,
            taxable_amount=tax.taxable,
            amount=tax.amount,
        )
        for position, tax in enumerate(state.taxes, start=1)
    ]


def draft_post(state: BillingState, subscription: Subscription, *, draft: Invoice | None) -> Invoice:
    """Store a finished run as a draft, in place of the draft there is. Lock the subscription or the draft first."""
    document = document_of(state, subscription, draft=draft)
    if draft is not None:
        draft.lines.all().delete()
        draft.taxes.all().delete()
    document.invoice.save(force_insert=draft is None, force_update=draft is not None)
    InvoiceLine.objects.bulk_create(document.lines)
    InvoiceTax.objects.bulk_create(document.taxes)
    return document.invoice


def issue_post(invoice: Invoice, state: BillingState, sequence: InvoiceSequence, *, terms_days: int) -> None:
    """Issue a draft that holds the state's figures: number, chain, ledger, burns. Lock the sequence and the draft first.

    terms_days: due so many days after the local day of issue. A due amount of zero is paid by that.
    """
    tenant, at = invoice.tenant, now()
    sequence.last_number += 1
    invoice.sequence = sequence.last_number
    invoice.number = f"{billing_profile_for(tenant).number_prefix}-{sequence.last_number:06d}"
    invoice.issued_at = at
    invoice.due_on = at.astimezone(invoice.customer.zone).date() + timedelta(days=terms_days)
    invoice.status = Invoice.Status.OPEN if invoice.due_amount else Invoice.Status.PAID
    invoice.previous_hash = sequence.head_hash
    invoice.chain_hash = chain_hash_of(invoice)
    invoice.save(update_fields=ISSUED_FIELDS)
    sequence.head_hash = invoice.chain_hash
    sequence.save(update_fields=["last_number", "head_hash"])
    book(
        tenant=tenant,
        reference=reference_of(invoice),
        description=f"Invoice {invoice.number}",
        entries=[Entry(entry.account, invoice.currency, entry.amount) for entry in state.settlement.entries],
        customer=invoice.customer.parent or invoice.customer,
        invoice=invoice,
        booked_at=at,
    )
    WalletBurn.objects.bulk_create(
        WalletBurn(tenant=tenant, grant_id=burn.grant, invoice=invoice, amount=burn.amount, burned_at=at)
        for burn in state.settlement.burns
    )


def reference_of(invoice: Invoice) -> str:
    """What the ledger calls the booking of the invoice."""
    return f"invoice:{invoice.pk}"


def chain_hash_of(invoice: Invoice) -> str:
    """The invoice's link in the tenant's chain: over what was issued, when, and the link before."""
    return proof.chain_hash(
        invoice.previous_hash,
        number=invoice.number,
        issued_at=invoice.issued_at,
        due_on=invoice.due_on,
        input_hash=invoice.input_hash,
        result_hash=invoice.result_hash,
    )
