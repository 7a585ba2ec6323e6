"""Billing profile: how a tenant's money is rounded, numbered, named and taxed."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CountryField, VatNumberField, checked_vat_number

# Thirty days: a month is issued before the next one is drafted.
GRACE_HOURS_MAX = 720


def validate_address(text: str) -> None:
    """Refuse what cannot be posted to. Hosts may have one word, as in a private network: http://tax:8080/quote."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or "@" in parts.netloc or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValidationError(f"{text!r} is no address; write one like https://tax.example/quote.")


class BillingProfile(TenantRow):
    class Rounding(models.TextChoices):
        HALF_UP = "half_up", "Half up (away from zero)"
        HALF_EVEN = "half_even", "Half to even"

    class TaxEngine(models.TextChoices):
        HTTP = "http", "Another system, asked over HTTP"

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    legal_name = models.CharField(max_length=200)
    legal_address = models.TextField(blank=True)
    country = CountryField(blank=True, help_text="Where you are established; decides on EU VAT.")
    vat_number = VatNumberField(blank=True, help_text="Your own, as in DE136695976.")
    number_prefix = models.CharField(max_length=16, default="INV")
    rounding = models.CharField(max_length=9, choices=Rounding.choices, default=Rounding.HALF_UP)
    pays_across_currencies = models.BooleanField(
        default=False,
        help_text="Wallets of other currencies pay, too, after that of the invoice's, at the recorded exchange rate.",
    )

    tax_engine = models.CharField(
        max_length=16,
        choices=TaxEngine.choices,
        blank=True,
        help_text="Who works out the taxes; empty: the tax table.",
    )
    tax_engine_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[validate_address],
        help_text="Where the engine is asked, by POST: https://…",
    )
    sealed_tax_engine_secret = models.BinaryField(null=True, blank=True, editable=False)
    grace_hours = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(GRACE_HOURS_MAX)],
        help_text="So long a bill run's drafts wait for late events before they are issued.",
    )

    def clean(self) -> None:
        super().clean()
        self.vat_number = checked_vat_number(self.country, self.vat_number)
        if self.tax_engine and not self.tax_engine_url:
            raise ValidationError({"tax_engine_url": "Say where the engine is asked."})

    @property
    def is_tax_engine_signed(self) -> bool:
        """Whether questions to the tax engine are signed."""
        return self.sealed_tax_engine_secret is not None

    def __str__(self) -> str:
        return self.legal_name
