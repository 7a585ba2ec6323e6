"""Customer: the party a tenant bills."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.vat import CHECKED, vat_country

from .base import TenantRow
from .fields import CountryField, CurrencyField, VatNumberField, ZoneField, checked_vat_number


class Customer(TenantRow):
    """Named by the tenant's own external_id, which usage events carry as customer_id.

    The id is a number and not a UUID because every bucket and usage context names it.
    """

    external_id = models.CharField(max_length=255, help_text="The tenant's own identifier, such as cust_abc.")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    currency = CurrencyField(default="USD")
    timezone = ZoneField(default="UTC", help_text="Billing periods are cut at midnight in this zone.")
    country = CountryField(blank=True, help_text="ISO 3166 code; decides on EU VAT. Empty: not known.")
    tax_jurisdiction = models.CharField(
        max_length=32,
        blank=True,
        help_text="Key of the tax table, such as US-NY or DE; empty: the country's.",
    )
    vat_number = VatNumberField(
        blank=True, help_text="Of a business; its digits are checked, as in DE136695976."
    )
    vat_confirmed_on = models.DateField(
        null=True, blank=True, help_text="Day on which a tax authority (VIES) confirmed the number."
    )
    is_tax_exempt = models.BooleanField(default=False)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "external_id"], name="customer_external_id")]
        ordering = ["external_id"]

    def __str__(self) -> str:
        return f"{self.external_id} · {self.name}" if self.name else self.external_id

    def clean(self) -> None:
        super().clean()
        self.vat_number = checked_vat_number(self.country, self.vat_number)
        if self.vat_confirmed_on is not None and not self.vat_number:
            raise ValidationError({"vat_confirmed_on": "There is no VAT number to confirm."})

    @property
    def vat_status(self) -> str | None:
        """How far the VAT number is known to be right: confirmed, format_checked or unchecked; None without one."""
        if not self.vat_number:
            return None
        if self.vat_confirmed_on is not None:
            return "confirmed"
        return "format_checked" if vat_country(self.country) in CHECKED else "unchecked"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
