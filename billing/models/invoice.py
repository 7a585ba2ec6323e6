"""Invoice: the document, its lines and taxes, and the sealed input that it can be recomputed from."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField, RateField
from .subscription import Subscription


class Invoice(TenantRow):
    """One per (subscription, period, kind), whatever runs twice. Never edited once issued, its status aside.

    period_start, period_end: the whole billing period, which names the invoice, also where only a part is billed.
    """

    class Status(models.TextChoices):
        DRAFT = "DRAFT", "Draft"
        OPEN = "OPEN", "Open"
        PAID = "PAID", "Paid"
        OVERDUE = "OVERDUE", "Overdue"
        UNCOLLECTIBLE = "UNCOLLECTIBLE", "Uncollectible"
        VOID = "VOID", "Void"

    class Kind(models.TextChoices):
        PERIOD = "PERIOD", "Period"
        START = "START", "Start"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoices")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="invoices")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.PERIOD)
    number = models.CharField(max_length=32, null=True, help_text="Given at issue, without gaps.")
    sequence = models.PositiveBigIntegerField(
        null=True, help_text="The number's place in the tenant's row: 1, 2, 3, …"
    )
    status = models.CharField(max_length=13, choices=Status.choices, default=Status.DRAFT)
    currency = CurrencyField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    last_on = models.DateField(help_text="Last billed local day; puts the invoice into a month's bill run.")
    issued_at = models.DateTimeField(null=True)
    due_on = models.DateField(null=True)

    subtotal = AmountField(help_text="Lines before commitment and discount.")
    commitment = AmountField(help_text="True-up (positive) or cap (negative).")
    discount = AmountField(help_text="Zero or negative.")
    tax = AmountField()
    total = AmountField()
    wallet_amount = AmountField(help_text="Paid from the wallet.")
    due_amount = AmountField(help_text="To be paid against the invoice.")

    engine_version = models.CharField(max_length=16)
    sealed_input = models.BinaryField(help_text="Canonical JSON of the run's input.")
    input_hash = models.CharField(max_length=64)
    result_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(
        max_length=64, blank=True, help_text="Chain hash of the tenant's invoice before."
    )
    chain_hash = models.CharField(max_length=64, blank=True)
    trace = models.JSONField(default=list, help_text="Explanations, stage by stage.")
    issues = models.JSONField(default=list)
    stage_hashes = models.JSONField(default=list)
    settlement = models.JSONField(default=dict, help_text="Of a draft: what is booked when it is issued.")
    carried_out = models.JSONField(default=list, help_text="Unused units that the next period takes over.")
    usage_marks = models.JSONField(
        default=list, help_text="How much usage there was in the periods it bills or bills again."
    )
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "period_start", "kind"],
                condition=~models.Q(status="VOID"),
                name="invoice_one_live_a_period",
            ),
            models.UniqueConstraint(fields=["tenant", "number"], name="invoice_number"),
            models.UniqueConstraint(fields=["tenant", "sequence"], name="invoice_sequence"),
            models.CheckConstraint(
                name="invoice_adds_up",
                condition=models.Q(total=models.F("wallet_amount") + models.F("due_amount")),
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "customer", "period_start"], name="invoice_customer_period"),
            models.Index(fields=["tenant", "last_on"], name="invoice_last_on"),
        ]
        ordering = ["-period_start", "number"]

    def __str__(self) -> str:
        return self.number or f"draft {self.id}"


class InvoiceLine(TenantRow):
    class Kind(models.TextChoices):
        CHARGE = "CHARGE", "Charge"
        USAGE_FEE = "USAGE_FEE", "Usage"
        SETUP_FEE = "SETUP_FEE", "Setup fee"
        PRORATION = "PRORATION", "Proration"
        TRUE_UP = "TRUE_UP", "Minimum commitment"
        CAP = "CAP", "Maximum commitment"
        DISCOUNT = "DISCOUNT", "Discount"
        TAX = "TAX", "Tax"
        CREDIT = "CREDIT", "Credit"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    code = models.CharField(
        max_length=255, help_text="Of a charge, a coupon or a contract: acme-2026, acme-2026:product:api."
    )
    description = models.CharField(max_length=400)
    quantity = models.DecimalField(max_digits=60, decimal_places=30, null=True)
    amount = AmountField(help_text="Before discounts; a discount line is negative.")
    discount = AmountField(default=0, help_text="Share of the discounts, zero or negative.")
    tiers = models.JSONField(default=list, help_text="How the amount came to be.")
    adjusts = models.CharField(
        max_length=32, blank=True, help_text="Number of the invoice whose period the line corrects."
    )
    corrections = models.JSONField(default=list, help_text="Ids of the corrections that it comes of.")
    ahead_of = models.DateTimeField(
        null=True, help_text="Start of the period whose fee it bills in advance, or settles."
    )
    plan = models.CharField(max_length=80, blank=True, help_text="The plan version of a fee in advance.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position")]
        ordering = ["position"]


class InvoiceTax(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="taxes")
    position = models.PositiveSmallIntegerField()
    jurisdiction = models.CharField(max_length=32)
    name = models.CharField(max_length=100)
    percent = RateField()
    is_inclusive = models.BooleanField(default=False)
    taxable_amount = AmountField()
    amount = AmountField()
    treatment = models.CharField(max_length=16, blank=True, help_text="Why no tax is due; empty for a rate.")
    note = models.CharField(max_length=400, blank=True, help_text="What the invoice says of it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_tax_position")]
        ordering = ["position"]


class InvoiceSequence(TenantRow):
    """The last number given and the head of the hash chain; locked while invoices are issued."""

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    last_number = models.PositiveBigIntegerField(default=0)
    head_hash = models.CharField(max_length=64, blank=True)
