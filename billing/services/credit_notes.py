"""Credit notes: what is given back of an issued invoice, never more than was billed.

    DRAFT ─issue─▶ ISSUED ─apply─▶ APPLIED        a draft can be dropped; what is issued never changes

Issuing takes the credit off what is due on the invoice. What was paid already is left over, and applying puts it into
the payer's wallet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.kernel.canonical import content_hash
from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT, total, trimmed
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, row_save

from .. import locks, proof
from ..ledger.journal import Entry, book
from ..models import (
    CreditNote,
    CreditNoteLine,
    CreditNoteTax,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    WalletGrant,
)
from ..pipeline.crediting import taxes_left
from ..selectors.credit_notes import (
    credit_note_for,
    credited_by_line,
    credited_taxes,
    due_left,
)
from ..selectors.invoices import invoice_for
from .amounts import amount_check
from .wallets import wallet_open

Account = LedgerEntry.Account
Status = CreditNote.Status
ZERO = Decimal(0)


@transaction.atomic
def credit_note_create(
    *, tenant: Tenant, invoice: str, reason: str, lines: Sequence[tuple[int, Decimal]] | None = None
) -> CreditNote:
    """Draft a credit of an issued invoice; its taxes follow.

    invoice: number or id. lines: (position, how much to give back of it, net of its discount); all that is left of every line
    unless given.
    Locks the invoice. Raises Problem not_found, input_invalid for a line or an amount that is not there to be given,
    or state_conflict for a draft, a void invoice, or one of which nothing is left.

    100.00 + 19.00 tax, 40.00 of line 1: net 40.00, tax 7.60, total 47.60.
    """
    (row,) = locks.invoices_locked(tenant, [invoice_for(tenant, invoice).pk])
    if row.status in (Invoice.Status.DRAFT, Invoice.Status.VOID):
        raise Problem(
            "state_conflict", f"A {row.status.lower()} invoice bills nothing that could be credited."
        )
    asked = (
        {place: amount for place, amount in _left(row).items() if amount} if lines is None else dict(lines)
    )
    if lines is not None and len(asked) < len(lines):
        raise invalid("lines", "name a line twice.")
    _amounts_check(row, asked)
    taxes = _taxes(row, asked)
    added = total(amount for amount, is_inclusive in taxes.values() if not is_inclusive)
    net = total(asked.values())
    note = CreditNote(
        tenant=tenant,
        invoice=row,
        reason=reason,
        net=net,
        tax=total(amount for amount, _ in taxes.values()),
        total=EXACT.add(net, added),
    )
    row_save(note)
    by_position = {line.position: line for line in row.lines.all()}
    CreditNoteLine.objects.bulk_create(
        CreditNoteLine(tenant=tenant, note=note, line=by_position[position], amount=amount)
        for position, amount in sorted(asked.items())
    )
    taxed = {tax.position: tax for tax in row.taxes.all()}
    CreditNoteTax.objects.bulk_create(
        CreditNoteTax(tenant=tenant, note=note, tax=taxed[position], amount=amount)
        for position, (amount, _) in sorted(taxes.items())
    )
    return credit_note_for(tenant, note.pk)


@transaction.atomic
def credit_note_issue(*, tenant: Tenant, note_id: UUID) -> CreditNote:
    """Number and book a draft, and take it off what is due on its invoice; an issued one stays as it is.

    Where all of it is taken off, it is applied by that, and an invoice of which nothing is due any more is PAID.
    Locks the credit note sequence, the invoice and the note.
    Raises Problem not_found, or state_conflict where another credit note has given some of it back since the draft.

    47.60 of an open invoice of 119.00: revenue 40.00 and tax payable 7.60 against receivable −47.60; 71.40 stay due.
    """
    sequence = locks.credit_note_sequence_locked(tenant)
    (invoice,) = locks.invoices_locked(tenant, [credit_note_for(tenant, note_id).invoice_id])
    note = locks.credit_note_locked(tenant, note_id)
    if note.status != Status.DRAFT:
        return credit_note_for(tenant, note.pk)
    _stands_check(note, invoice)
    at = now()
    sequence.last_number += 1
    note.sequence, note.number = sequence.last_number, f"CN-{sequence.last_number:06d}"
    note.issued_at, note.status = at, Status.ISSUED
    note.due_amount = min(note.total, due_left(invoice))
    note.content_hash = content_hash(content_of(note))
    note.previous_hash = sequence.head_hash
    note.chain_hash = chain_hash_of(note)
    if note.due_amount == note.total:
        note.status, note.applied_at = Status.APPLIED, at
    row_save(note)
    sequence.head_hash = note.chain_hash
    sequence.save(update_fields=["last_number", "head_hash"])
    _book(note, invoice)
    if not due_left(invoice) and invoice.status != Invoice.Status.PAID:
        invoice.status = Invoice.Status.PAID
        invoice.save(update_fields=["status"])
    return credit_note_for(tenant, note.pk)


@transaction.atomic
def credit_note_apply(*, tenant: Tenant, note_id: UUID) -> CreditNote:
    """Put what an issued note gives back beyond the invoice's due amount into the payer's wallet; twice is once.

    Locks the payer, the wallet and the note. Raises Problem not_found, or state_conflict for a draft.

    119.00 credited of a paid invoice: receivable 119.00 against wallet liability −119.00, a CASH grant.
    """
    found = credit_note_for(tenant, note_id)
    if found.status == Status.DRAFT:
        raise Problem("state_conflict", "A draft is issued first; until then it gives nothing back.")
    invoice = found.invoice
    payer = invoice.customer.parent or invoice.customer
    wallet = wallet_open(tenant=tenant, customer=payer.external_id, currency=invoice.currency)
    note = locks.credit_note_locked(tenant, note_id)
    if note.status == Status.APPLIED:
        return credit_note_for(tenant, note.pk)
    at = now()
    left = EXACT.subtract(note.total, note.due_amount)
    row_save(
        WalletGrant(
            tenant=tenant, wallet=wallet, kind=WalletGrant.Kind.CASH, amount=left, starts_at=at, created_at=at
        )
    )
    book(
        tenant=tenant,
        reference=f"credit_note_applied:{note.pk}",
        description=f"Credit note {note.number}: wallet of {payer.external_id}",
        entries=(
            Entry(Account.RECEIVABLE, invoice.currency, left),
            Entry(Account.WALLET_LIABILITY, invoice.currency, EXACT.minus(left)),
        ),
        customer=payer,
        invoice=invoice,
        booked_at=at,
    )
    note.wallet_amount, note.applied_at, note.status = left, at, Status.APPLIED
    row_save(note)
    return credit_note_for(tenant, note.pk)


@transaction.atomic
def credit_note_drop(*, tenant: Tenant, note_id: UUID) -> None:
    """Remove a draft. Raises Problem not_found, or state_conflict for one that is issued."""
    note = locks.credit_note_locked(tenant, note_id)
    if note.status != Status.DRAFT:
        raise Problem(
            "state_conflict", f"{note.number} is issued and stays; credit notes are never taken back."
        )
    note.delete()


def content_of(note: CreditNote) -> dict[str, object]:
    """What a credit note says, as it is hashed at issue."""
    return {
        "invoice": note.invoice.number,
        "invoice_chain_hash": note.invoice.chain_hash,
        "number": note.number,
        "issued_at": note.issued_at,
        "reason": note.reason,
        "lines": {str(each.line.position): each.amount for each in note.lines.select_related("line")},
        "taxes": {str(each.tax.position): each.amount for each in note.taxes.select_related("tax")},
        "net": note.net,
        "tax": note.tax,
        "total": note.total,
        "due_amount": note.due_amount,
    }


def chain_hash_of(note: CreditNote) -> str:
    return content_hash({"previous": note.previous_hash, "content_hash": note.content_hash})


def reference_of(note: CreditNote) -> str:
    """What the ledger calls the booking of the note."""
    return f"credit_note:{note.pk}"


def entries_of(note: CreditNote) -> tuple[Entry, ...]:
    """Revenue and tax back against the receivable."""
    currency = note.invoice.currency
    return (
        Entry(Account.REVENUE, currency, EXACT.subtract(note.total, note.tax)),
        Entry(Account.TAX_PAYABLE, currency, note.tax),
        Entry(Account.RECEIVABLE, currency, EXACT.minus(note.total)),
    )


def _left(invoice: Invoice) -> dict[int, Decimal]:
    """What can still be given back of each line, net, by its position; below zero for a cap or an earlier credit."""
    credited = credited_by_line(invoice)
    return {
        line.position: EXACT.subtract(
            EXACT.add(line.amount, line.discount), credited.get(line.position, ZERO)
        )
        for line in invoice.lines.exclude(kind=InvoiceLine.Kind.DISCOUNT)
    }


def _amounts_check(invoice: Invoice, asked: Mapping[int, Decimal]) -> None:
    left = _left(invoice)
    for position, amount in asked.items():
        if position not in left:
            raise invalid("lines", f"names line {position}, which the invoice does not bill.")
        amount_check(amount, invoice.currency, field=f"lines[{position}]")
        most = left[position]
        if not (ZERO < amount <= most or most <= amount < ZERO):
            raise invalid(
                f"lines[{position}]", f"is {trimmed(amount)}; up to {trimmed(most)} can be given back of it."
            )
    net, most = total(asked.values()), total(left.values())
    if net <= ZERO:
        raise Problem("state_conflict", f"Nothing is left of {invoice.number} that could be given back.")
    if net > most:
        raise invalid("lines", f"come to {trimmed(net)}, and {trimmed(most)} is left of the invoice.")


def _taxes(invoice: Invoice, asked: Mapping[int, Decimal]) -> dict[int, tuple[Decimal, bool]]:
    """By position of the tax: what falls away of it, and whether prices contain it."""
    state = proof.recompute(bytes(invoice.sealed_input))
    credited, returned = credited_by_line(invoice), credited_taxes(invoice)
    for position, amount in asked.items():
        credited[position] = EXACT.add(credited.get(position, ZERO), amount)
    found = {}
    for tax, left in zip(state.taxes, taxes_left(state, credited), strict=True):
        position = len(found) + 1
        before = EXACT.subtract(tax.amount, returned.get(position, ZERO))
        found[position] = (EXACT.subtract(before, left), tax.is_inclusive)
    return found


def _stands_check(note: CreditNote, invoice: Invoice) -> None:
    """The draft against what is left now: another note may have been issued meanwhile."""
    asked = {each.line.position: each.amount for each in note.lines.select_related("line")}
    try:
        _amounts_check(invoice, asked)
        taxes = _taxes(invoice, asked)
    except Problem as problem:
        raise Problem("state_conflict", f"{problem.detail} Drop this draft and make another one.") from None
    drafted = {each.tax.position: each.amount for each in note.taxes.select_related("tax")}
    if drafted != {position: amount for position, (amount, _) in taxes.items()}:
        raise Problem(
            "state_conflict", "The taxes have changed since the draft; drop it and make another one."
        )


def _book(note: CreditNote, invoice: Invoice) -> None:
    book(
        tenant=note.tenant,
        reference=reference_of(note),
        description=f"Credit note {note.number} of {invoice.number}",
        entries=entries_of(note),
        customer=invoice.customer.parent or invoice.customer,
        invoice=invoice,
        booked_at=note.issued_at,
    )
