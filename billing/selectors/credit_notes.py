"""The doors to credit notes, and how much of an invoice is credited."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet, Sum

from aforo.kernel.decimals import EXACT
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import CreditNote, CreditNoteLine, CreditNoteTax, Invoice

ISSUED = (CreditNote.Status.ISSUED, CreditNote.Status.APPLIED)
ZERO = Decimal(0)


def credit_notes_for(tenant: Tenant) -> QuerySet[CreditNote]:
    """With invoice and customer."""
    return CreditNote.objects.of(tenant).select_related("invoice__customer__parent", "invoice__subscription")


def credit_notes_listed(
    tenant: Tenant, *, invoice: str | None = None, customer: str | None = None, status: str | None = None
) -> QuerySet[CreditNote]:
    """invoice: its number. customer: external id. None for any."""
    return credit_notes_for(tenant).filter(
        **given(invoice__number=invoice, invoice__customer__external_id=customer, status=status)
    )


def credit_note_for(tenant: Tenant, note_id: UUID) -> CreditNote:
    """Raises Problem not_found."""
    return found(credit_notes_for(tenant), pk=note_id)


def credited_by_line(invoice: Invoice, *, before: int | None = None) -> dict[int, Decimal]:
    """What issued credit notes have given back of each line, by its position, net.

    before: only those with a lower place in the tenant's row of credit notes.
    """
    lines = CreditNoteLine.objects.filter(note__invoice=invoice, note__status__in=ISSUED)
    if before is not None:
        lines = lines.filter(note__sequence__lt=before)
    sums = lines.order_by().values("line__position").annotate(sum=Sum("amount"))
    return {row["line__position"]: row["sum"] for row in sums}


def credited_taxes(invoice: Invoice, *, before: int | None = None) -> dict[int, Decimal]:
    """What issued credit notes have given back of each tax, by its position."""
    taxes = CreditNoteTax.objects.filter(note__invoice=invoice, note__status__in=ISSUED)
    if before is not None:
        taxes = taxes.filter(note__sequence__lt=before)
    sums = taxes.order_by().values("tax__position").annotate(sum=Sum("amount"))
    return {row["tax__position"]: row["sum"] for row in sums}


def due_left(invoice: Invoice) -> Decimal:
    """What is still to be paid of an invoice: its due amount without what credit notes have taken off it."""
    if invoice.status not in (Invoice.Status.OPEN, Invoice.Status.OVERDUE, Invoice.Status.UNCOLLECTIBLE):
        return ZERO
    taken = CreditNote.objects.filter(invoice=invoice, status__in=ISSUED).aggregate(sum=Sum("due_amount"))
    return EXACT.subtract(invoice.due_amount, taken["sum"] or ZERO)
