"""Ledger: double entry, append-only; a trigger holds every transaction to zero per currency (migration 0002)."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField
from .invoice import Invoice


class LedgerTransaction(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice = models.ForeignKey(
        Invoice, null=True, on_delete=models.PROTECT, related_name="ledger_transactions"
    )
    reference = models.CharField(max_length=128, help_text="What it books, once: invoice:<id>.")
    description = models.CharField(max_length=200)
    booked_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "reference"], name="ledger_reference")]
        ordering = ["booked_at", "id"]

    def __str__(self) -> str:
        return self.description


class LedgerEntry(TenantRow):
    """amount: positive debits the account, negative credits it."""

    class Account(models.TextChoices):
        RECEIVABLE = "receivable", "Receivable"
        REVENUE = "revenue", "Revenue"
        TAX_PAYABLE = "tax_payable", "Tax payable"
        WALLET_LIABILITY = "wallet_liability", "Customer wallet liability"
        CASH = "cash", "Cash"
        DISCOUNT = "discount", "Discount"
        BREAKAGE = "breakage", "Breakage"
        EXCHANGE = "exchange", "Exchange"
        WRITE_OFF = "write_off", "Write-off"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT, related_name="+")
    account = models.CharField(max_length=16, choices=Account.choices)
    currency = CurrencyField()
    amount = AmountField()

    class Meta:
        ordering = ["id"]
