"""The pipeline's result to rows: the only writer. Each function belongs to its caller's one transaction.

A draft is rewritten as often as it is drafted; issuing gives it number, chain hash, ledger entries and wallet burns, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from aforo.kernel.canonical import canonical_value, sha256_hex
from aforo.kernel.clock import now
from aforo.kernel.decimals import rounded
from aforo.kernel.periods import last_day

from . import proof
from .ledger.journal import Booking, Entry, book_all
from .models import (
    Invoice,
    InvoiceLine,
    InvoiceSequence,
    InvoiceTax,
    Subscription,
    WalletBurn,
)
from .pipeline.adjustments import marks_kept
from .pipeline.state import ZERO, BillingState, Settlement
from .selectors.profiles import billing_profile_for

QUANTITY_PLACES = 30
# What issuing adds to a draft.
ISSUED_FIELDS = ("number", "sequence", "issued_at", "due_on", "status", "previous_hash", "chain_hash")
# What drafting again writes anew; who is billed for what, and since when it is there, stays.
DRAFTED_FIELDS = tuple(
    field.name
    for field in Invoice._meta.concrete_fields
    if field.name not in {"id", "tenant", "customer", "subscription", "kind", "created_at", *ISSUED_FIELDS}
)
_ISSUE = """
UPDATE billing_invoice AS invoice
SET number = issued.number, sequence = issued.sequence, issued_at = issued.issued_at, due_on = issued.due_on,
    status = issued.status, settlement = '{}', previous_hash = issued.previous_hash, chain_hash = issued.chain_hash
FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::timestamptz[], %s::date[], %s::text[], %s::text[], %s::text[])
    AS issued (id, number, sequence, issued_at, due_on, status, previous_hash, chain_hash)
WHERE invoice.id = issued.id
"""


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
        kind=state.kind,
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
        settlement=canonical_value(state.settlement),
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
            "ahead_of": line.ahead_of,
            "plan": line.plan,
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
            treatment=tax.treatment,
            note=tax.note,
        )
        for position, tax in enumerate(state.taxes, start=1)
    ]


def drafts_post(documents: Sequence[Document]) -> None:
    """Store finished runs as drafts, each in place of the draft that it was made over.

    Lock the subscriptions or the drafts first.
    """
    if not documents:
        return
    invoices = [document.invoice for document in documents]
    for rows in (InvoiceLine, InvoiceTax):
        rows.objects.filter(invoice__in=invoices).delete()
    Invoice.objects.bulk_create(
        invoices, update_conflicts=True, unique_fields=["id"], update_fields=DRAFTED_FIELDS
    )
    InvoiceLine.objects.bulk_create(line for document in documents for line in document.lines)
    InvoiceTax.objects.bulk_create(tax for document in documents for tax in document.taxes)


@dataclass(frozen=True, slots=True)
class Issuing:
    """A draft to be issued, and what its run settled.

    terms_days: due so many days after the local day of issue.
    """

    invoice: Invoice
    settlement: Settlement
    terms_days: int


def issues_post(issued: Sequence[Issuing], sequence: InvoiceSequence) -> None:
    """Issue drafts in their order: number, chain, ledger, burns. Lock the sequence and the drafts first.

    A due amount of zero is paid by that.
    """
    if not issued:
        return
    tenant, at = sequence.tenant, now()
    prefix = billing_profile_for(tenant).number_prefix
    for each in issued:
        invoice = each.invoice
        sequence.last_number += 1
        invoice.sequence = sequence.last_number
        invoice.number = f"{prefix}-{sequence.last_number:06d}"
        invoice.issued_at = at
        invoice.due_on = at.astimezone(invoice.customer.zone).date() + timedelta(days=each.terms_days)
        invoice.status = Invoice.Status.OPEN if invoice.due_amount else Invoice.Status.PAID
        # Booked now, it is not kept twice.
        invoice.settlement = {}
        invoice.previous_hash = sequence.head_hash
        invoice.chain_hash = sequence.head_hash = chain_hash_of(invoice)
    with connection.cursor() as cursor:
        columns = [[getattr(each.invoice, name) for each in issued] for name in ("pk", *ISSUED_FIELDS)]
        cursor.execute(_ISSUE, columns)
    sequence.save(update_fields=["last_number", "head_hash"])
    book_all(tenant=tenant, bookings=[_booking(each) for each in issued])
    WalletBurn.objects.bulk_create(
        WalletBurn(tenant=tenant, grant_id=burn.grant, invoice=each.invoice, amount=burn.amount, burned_at=at)
        for each in issued
        for burn in each.settlement.burns
    )


def _booking(issued: Issuing) -> Booking:
    invoice = issued.invoice
    return Booking(
        reference=reference_of(invoice),
        description=f"Invoice {invoice.number}",
        entries=tuple(
            Entry(entry.account, entry.currency or invoice.currency, entry.amount)
            for entry in issued.settlement.entries
        ),
        customer=invoice.customer.parent or invoice.customer,
        invoice=invoice,
        booked_at=invoice.issued_at,
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
