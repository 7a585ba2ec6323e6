"""Verification: an issued invoice recomputed from its sealed input, and its rows and place in the chain compared.

Each difference is one sentence that begins with what differs; a sound invoice or ledger has none. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import F, Model, Sum

from aforo.kernel.canonical import canonical_value, content_hash, sha256_hex
from aforo.kernel.decimals import trimmed
from aforo.tenancy.models import Tenant

from .. import posting, proof
from ..models import CreditNote, CreditNoteSequence, Invoice, InvoiceSequence
from ..pipeline import BrokenStage
from ..pipeline.adjustments import marks_kept
from ..pipeline.state import ZERO, BillingState
from ..selectors.credit_notes import credit_notes_for
from ..selectors.invoices import issued_invoices_for
from ..selectors.ledger import ledger_entries_for, trial_balance
from . import credit_notes

INVOICE_FIGURES = (
    *("subtotal", "commitment", "discount", "tax", "total", "wallet_amount", "due_amount"),
    *("kind", "currency", "period_start", "period_end", "last_on", "engine_version"),
)
LINE_FIELDS = (
    *("position", "kind", "code", "description", "quantity", "amount", "discount", "tiers"),
    *("adjusts", "corrections", "ahead_of", "plan"),
)
TAX_FIELDS = (
    *("position", "jurisdiction", "name", "percent", "is_inclusive", "taxable_amount", "amount"),
    *("treatment", "note"),
)


def invoice_verify(invoice: Invoice) -> list[str]:
    """What of an invoice does not follow from its sealed input. A draft has no number, chain or entries to compare."""
    sealed = bytes(invoice.sealed_input)
    found = [*_hash_differences("sealed input", sha256_hex(sealed), invoice.input_hash)]
    try:
        state = proof.recompute(sealed)
    except (msgspec.MsgspecError, ValueError, BrokenStage) as error:
        return [*found, f"sealed input: cannot be recomputed: {error}"]
    found += _result_differences(invoice, state)
    found += _row_differences(invoice, state)
    if invoice.status != Invoice.Status.DRAFT:
        if invoice.settlement:
            found.append("settlement: is of a draft, and the invoice is issued")
        found += _hash_differences("chain hash", posting.chain_hash_of(invoice), invoice.chain_hash)
        found += _booking_differences(invoice, state)
    return found


def ledger_verify(tenant: Tenant) -> list[str]:
    """What is wrong with a tenant's ledger and chain: off balance, a gap or a break in the row of invoices."""
    balance = trial_balance(tenant)
    found = [f"trial balance: off by {trimmed(off)} {currency}" for currency, off in balance.off.items()]
    last, head = 0, ""
    fields = (
        "sequence",
        "number",
        "previous_hash",
        "chain_hash",
        "issued_at",
        "due_on",
        "input_hash",
        "result_hash",
    )
    for invoice in issued_invoices_for(tenant).only(*fields).iterator(1000):
        if invoice.sequence != last + 1:
            found.append(f"invoice {invoice.number}: is number {invoice.sequence} and follows number {last}")
        if invoice.previous_hash != head:
            found.append(f"invoice {invoice.number}: does not name the chain hash of the invoice before")
        found += _hash_differences(
            f"invoice {invoice.number}: chain hash", posting.chain_hash_of(invoice), invoice.chain_hash
        )
        last, head = invoice.sequence, invoice.chain_hash
    sequence = InvoiceSequence.objects.of(tenant).first() or InvoiceSequence(tenant=tenant)
    if (sequence.last_number, sequence.head_hash) != (last, head):
        found.append(f"sequence: ends at number {sequence.last_number}, and the invoices at {last}")
    return [*found, *credit_notes_verify(tenant)]


def credit_notes_verify(tenant: Tenant) -> list[str]:
    """What is wrong with a tenant's credit notes: contents, entries, more than was billed, a gap or a break in their row."""
    found: list[str] = []
    last, head = 0, ""
    for note in credit_notes_for(tenant).filter(sequence__isnull=False).order_by("sequence").iterator(1000):
        name = f"credit note {note.number}"
        if (note.sequence, note.previous_hash) != (last + 1, head):
            found.append(f"{name}: is number {note.sequence}, and does not follow number {last}")
        computed = content_hash(credit_notes.content_of(note))
        found += _hash_differences(f"{name}: content", computed, note.content_hash)
        found += _hash_differences(f"{name}: chain hash", credit_notes.chain_hash_of(note), note.chain_hash)
        entries = ledger_entries_for(tenant).filter(transaction__reference=credit_notes.reference_of(note))
        booked = {entry.account: entry.amount for entry in entries}
        wanted = {entry.account: entry.amount for entry in credit_notes.entries_of(note) if entry.amount}
        found += (f"{name}: {sentence}" for sentence in _sum_differences("ledger entry", wanted, booked))
        last, head = note.sequence, note.chain_hash
    sequence = CreditNoteSequence.objects.of(tenant).first() or CreditNoteSequence(tenant=tenant)
    if (sequence.last_number, sequence.head_hash) != (last, head):
        found.append(f"credit note sequence: ends at number {sequence.last_number}, and the notes at {last}")
    overdrawn = (
        CreditNote.objects.of(tenant)
        .filter(sequence__isnull=False)
        .values("invoice__number", "invoice__total")
        .annotate(credited=Sum("total"))
        .filter(credited__gt=F("invoice__total"))
        .order_by("invoice__number")
    )
    found += [
        f"invoice {row['invoice__number']}: {trimmed(row['credited'])} are credited of {trimmed(row['invoice__total'])}"
        for row in overdrawn
    ]
    return found


def _hash_differences(what: str, computed: str, stored: str) -> Iterator[str]:
    if computed != stored:
        yield f"{what}: hashes to {computed[:16]}…, and {stored[:16]}… is stored"


def _result_differences(invoice: Invoice, state: BillingState) -> Iterator[str]:
    yield from _hash_differences("result", proof.result_hash(state), invoice.result_hash)
    written = {name: getattr(state, name) for name in ("trace", "issues", "stage_hashes", "carried_out")}
    for name, value in {**written, "usage_marks": marks_kept(state)}.items():
        computed, stored = canonical_value(value), getattr(invoice, name)
        if computed != stored:
            yield f"{name}: differs from the recomputed one at entry {_first_difference(computed, stored)}"


def _first_difference(computed: list[Any], stored: list[Any]) -> int:
    """Counted from 1; past the shorter one where all of it agrees."""
    pairs = zip(computed, stored, strict=False)
    return next((at for at, (a, b) in enumerate(pairs, 1) if a != b), min(len(computed), len(stored)) + 1)


def _row_differences(invoice: Invoice, state: BillingState) -> Iterator[str]:
    named = {"customer": invoice.customer.external_id, "subscription": invoice.subscription.code}
    for name, stored in named.items():
        if stored != getattr(state, name):
            yield f"invoice: {name} is {stored}, and {getattr(state, name)} follows from the input"
    document = posting.document_of(state, invoice.subscription)
    yield from _field_differences("invoice", INVOICE_FIGURES, document.invoice, invoice)
    yield from _list_differences("line", LINE_FIELDS, document.lines, invoice.lines.all())
    yield from _list_differences("tax", TAX_FIELDS, document.taxes, invoice.taxes.all())


def _list_differences(
    what: str, names: Sequence[str], computed: Sequence[Model], stored: Sequence[Model]
) -> Iterator[str]:
    if len(computed) != len(stored):
        yield f"{what}: {len(stored)} are stored, {len(computed)} follow from the input"
    for position, (ours, theirs) in enumerate(zip(computed, stored, strict=False), start=1):
        yield from _field_differences(f"{what} {position}", names, ours, theirs)


def _field_differences(what: str, names: Sequence[str], computed: Model, stored: Model) -> Iterator[str]:
    for name in names:
        ours, theirs = canonical_value(getattr(computed, name)), canonical_value(getattr(stored, name))
        if ours != theirs:
            yield f"{what}: {name} is {theirs}, and {ours} follows from the input"


def _booking_differences(invoice: Invoice, state: BillingState) -> Iterator[str]:
    settled = state.settlement
    reference = posting.reference_of(invoice)
    entries = [
        entry
        for booked in invoice.ledger_transactions.all()
        if booked.reference == reference
        for entry in booked.entries.all()
    ]
    yield from _sum_differences(
        "ledger entry",
        {f"{entry.account} {entry.currency or state.currency}": entry.amount for entry in settled.entries},
        {f"{entry.account} {entry.currency}": entry.amount for entry in entries},
    )
    for entry in entries:
        whose = entry.customer and entry.customer.external_id
        if whose != state.bearer:
            yield f"ledger entry {entry.account}: is of {whose}, and {state.bearer} follows from the input"
    yield from _sum_differences(
        "wallet burn",
        {burn.grant: burn.amount for burn in settled.burns},
        {str(burn.grant_id): burn.amount for burn in invoice.wallet_burns.all()},
    )


def _sum_differences(what: str, computed: dict[str, Decimal], stored: dict[str, Decimal]) -> Iterator[str]:
    for name in sorted(computed.keys() | stored.keys()):
        ours, theirs = computed.get(name, ZERO), stored.get(name, ZERO)
        if ours != theirs:
            yield f"{what} {name}: is {trimmed(theirs)}, and {trimmed(ours)} follows from the input"
