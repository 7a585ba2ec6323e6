"""The tax table: effective-dated rates per jurisdiction."""

from __future__ import annotations

from django.db import models

from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import RateField


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
            models.UniqueConstraint(
                fields=["tenant", "jurisdiction", "name", "starts_on"], name="tax_rate_start"
            ),
        ]
        ordering = ["jurisdiction", "name", "-starts_on"]

    def __str__(self) -> str:
        return f"{self.jurisdiction} {self.name}"
