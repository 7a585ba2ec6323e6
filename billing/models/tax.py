"""The tax table: effective-dated rates per jurisdiction."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models

from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import DateSpan, RateField, check_term


class TaxRate(TenantRow):
    """A rate of one jurisdiction, in force from starts_on until the day before ends_on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    jurisdiction = models.CharField(max_length=32, help_text="Such as US-NY or DE; customers name it.")
    name = models.CharField(max_length=100, help_text="What the invoice says, such as VAT 19 %.")
    percent = RateField(help_text="8.875 means 8.875 %.")
    is_inclusive = models.BooleanField(default=False, help_text="Prices already contain the tax.")
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
                    (DateSpan("starts_on", "ends_on"), "&&"),
                ],
                violation_error_message="The jurisdiction has this tax on some of these days already.",
            ),
        ]
        ordering = ["jurisdiction", "name", "-starts_on"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return f"{self.jurisdiction} {self.name}"
