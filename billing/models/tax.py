"""Tax: effective-dated rates per jurisdiction, certificates by which a customer pays none, answers of outside engines."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow

from .fields import CodeField, DateSpan, RateField, check_term


class TaxRate(TenantRow):
    """A rate of one jurisdiction, in force from starts_on until the day before ends_on.

    Jurisdictions lie inside each other by their names: a customer of US-NY-NYC pays the rates of US, US-NY and US-NY-NYC;
    where several of them have a tax of one name, the innermost.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    jurisdiction = models.CharField(max_length=32, help_text="Such as US-NY or DE; customers name it.")
    name = models.CharField(max_length=100, help_text="What the invoice says, such as VAT 19 %.")
    percent = RateField(help_text="8.875 means 8.875 %.")
    is_inclusive = models.BooleanField(default=False, help_text="Prices already contain the tax.")
    position = models.PositiveSmallIntegerField(
        default=1, help_text="Order in which taxes are taken; equal ones go by jurisdiction and name."
    )
    is_compound = models.BooleanField(
        default=False, help_text="Taken of the net and the taxes before it, such as 7.5 % of 105.00."
    )
    tax_category = CodeField(
        blank=True, help_text="Only for products of this category, in place of the general rate of the name."
    )
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tax_rate_term",
                condition=models.Q(ends_on__isnull=True) | models.Q(ends_on__gt=models.F("starts_on")),
                violation_error_message="A rate ends after it starts.",
            ),
            models.CheckConstraint(
                name="tax_rate_percent",
                condition=models.Q(percent__gte=0, percent__lte=100),
                violation_error_message="A rate is between 0 and 100 percent.",
            ),
            ExclusionConstraint(
                name="tax_rate_one_at_a_time",
                expressions=[
                    ("tenant", "="),
                    ("jurisdiction", "="),
                    ("name", "="),
                    ("tax_category", "="),
                    (DateSpan("starts_on", "ends_on"), "&&"),
                ],
                violation_error_message="The jurisdiction has this tax on some of these days already.",
            ),
        ]
        ordering = ["jurisdiction", "position", "name", "tax_category", "-starts_on"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return f"{self.jurisdiction} {self.name}"


class TaxQuote(TenantRow):
    """What an outside engine was asked and what it answered, once and for ever; a trigger holds that.

    question: canonical JSON of billing/pipeline/tax_quotes.py. question_hash: SHA-256 of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    engine = models.CharField(max_length=16)
    question = models.TextField()
    question_hash = models.CharField(max_length=64)
    reference = models.CharField(max_length=128, blank=True, help_text="The engine's own.")
    taxes = models.JSONField(help_text="Jurisdiction, name, percent, taxable, amount and note of each.")
    answered_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "engine", "question_hash"], name="tax_quote_question")
        ]
        ordering = ["-answered_at"]


class TaxExemption(TenantRow):
    """A certificate by which a customer pays no tax of a jurisdiction, from starts_on until the day before ends_on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="tax_exemptions")
    jurisdiction = models.CharField(
        max_length=32, blank=True, help_text="With those inside it: US covers US-NY. Empty: every one."
    )
    number = models.CharField(max_length=64, help_text="Of the certificate; invoices name it.")
    reason = models.CharField(max_length=200, help_text="Such as resale, or public education.")
    document_reference = models.CharField(
        max_length=500, blank=True, help_text="Where the document is kept: an address or a file number."
    )
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="First day on which it is no longer valid.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tax_exemption_term",
                condition=models.Q(ends_on__isnull=True) | models.Q(ends_on__gt=models.F("starts_on")),
                violation_error_message="A certificate ends after it starts.",
            ),
            ExclusionConstraint(
                name="tax_exemption_one_at_a_time",
                expressions=[
                    ("tenant", "="),
                    ("customer", "="),
                    ("jurisdiction", "="),
                    (DateSpan("starts_on", "ends_on"), "&&"),
                ],
                violation_error_message="The customer has a certificate of this jurisdiction on some of these days already.",
            ),
        ]
        ordering = ["customer", "jurisdiction", "-starts_on"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return f"{self.number} ({self.jurisdiction or 'every jurisdiction'})"
