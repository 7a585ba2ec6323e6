"""Credit note: what is given back of an issued invoice, which itself never changes."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import AmountField
from .invoice import Invoice, InvoiceLine, InvoiceTax


class CreditNote(TenantRow):
    """DRAFT, ISSUED (numbered and booked), APPLIED (all of it has gone somewhere). Amounts are those given back.

    net + tax = total = due_amount + wallet_amount once it is applied.
    """

    class Status(models.TextChoices):
        DRAFT = "DRAFT", "Draft"
        ISSUED = "ISSUED", "Issued"
        APPLIED = "APPLIED", "Applied"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    reason = models.CharField(max_length=300)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.DRAFT)
    number = models.CharField(max_length=32, null=True, blank=True, help_text="Given at issue, without gaps.")
    sequence = models.PositiveBigIntegerField(null=True, blank=True)
    net = AmountField(help_text="Of the lines, discounts included.")
    tax = AmountField(help_text="What the invoice's taxes fall by, contained ones included.")
    total = AmountField()
    due_amount = AmountField(default=0, help_text="Taken off what was due on the invoice.")
    wallet_amount = AmountField(default=0, help_text="Put into the payer's wallet.")
    created_at = models.DateTimeField(default=now, editable=False)
    issued_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    content_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of what was issued.")
    previous_hash = models.CharField(max_length=64, blank=True)
    chain_hash = models.CharField(max_length=64, blank=True, help_text="Joins it to the credit note before.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="credit_note_number"),
            models.UniqueConstraint(fields=["tenant", "sequence"], name="credit_note_sequence"),
            models.CheckConstraint(name="credit_note_positive", condition=models.Q(total__gt=0)),
        ]
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.number or "Draft"


class CreditNoteLine(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    note = models.ForeignKey(CreditNote, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(InvoiceLine, on_delete=models.PROTECT, related_name="credits")
    amount = AmountField(help_text="Given back of the line, net; negative for a line below zero.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["note", "line"], name="credit_note_line_once")]
        ordering = ["line__position"]


class CreditNoteTax(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    note = models.ForeignKey(CreditNote, on_delete=models.CASCADE, related_name="taxes")
    tax = models.ForeignKey(InvoiceTax, on_delete=models.PROTECT, related_name="credits")
    amount = AmountField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["note", "tax"], name="credit_note_tax_once")]
        ordering = ["tax__position"]


class CreditNoteSequence(TenantRow):
    """The last number given and the head of the hash chain; locked while credit notes are issued."""

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    last_number = models.PositiveBigIntegerField(default=0)
    head_hash = models.CharField(max_length=64, blank=True)
