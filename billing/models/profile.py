"""Billing profile: how a tenant's money is rounded, numbered, named and taxed."""

from __future__ import annotations

from django.db import models

from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CountryField, VatNumberField, checked_vat_number


class BillingProfile(TenantRow):
    class Rounding(models.TextChoices):
        HALF_UP = "half_up", "Half up (away from zero)"
        HALF_EVEN = "half_even", "Half to even"

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    legal_name = models.CharField(max_length=200)
    legal_address = models.TextField(blank=True)
    country = CountryField(blank=True, help_text="Where you are established; decides on EU VAT.")
    vat_number = VatNumberField(blank=True, help_text="Your own, as in DE136695976.")
    number_prefix = models.CharField(max_length=16, default="INV")
    rounding = models.CharField(max_length=9, choices=Rounding.choices, default=Rounding.HALF_UP)

    def clean(self) -> None:
        super().clean()
        self.vat_number = checked_vat_number(self.country, self.vat_number)

    def __str__(self) -> str:
        return self.legal_name
