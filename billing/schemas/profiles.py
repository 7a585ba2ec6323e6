"""The shape of the billing profile."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import StrictSerializer

from ..models import BillingProfile
from ..models.profile import GRACE_HOURS_MAX


class BillingProfileSerializer(StrictSerializer):
    legal_name = serializers.CharField(required=False, max_length=200, help_text="What invoices say.")
    legal_address = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    country = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2,
        help_text="ISO 3166 code of where you are established; decides on EU VAT.",
    )
    vat_number = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=32,
        help_text="Your own; invoices to other countries name it.",
    )
    number_prefix = serializers.CharField(
        required=False, max_length=16, help_text="Of invoice numbers: INV gives INV-000001."
    )
    tax_engine = serializers.ChoiceField(
        BillingProfile.TaxEngine.choices,
        required=False,
        allow_blank=True,
        help_text="Who works out the taxes; empty: the tax table.",
    )
    tax_engine_url = serializers.CharField(
        required=False, allow_blank=True, max_length=500, help_text="Where the engine is asked, by POST."
    )
    tax_engine_secret = serializers.CharField(
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="whsec_…: questions are signed with it, as Standard Webhooks has it; empty: unsigned.",
    )
    is_tax_engine_signed = serializers.BooleanField(read_only=True)
    rounding = serializers.ChoiceField(BillingProfile.Rounding.choices, required=False)
    grace_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=GRACE_HOURS_MAX,
        help_text="So long a bill run's drafts wait for late events before they are issued; a run may say otherwise.",
    )
    pays_across_currencies = serializers.BooleanField(
        required=False,
        help_text="Wallets of other currencies pay, too, after that of the invoice's, at the recorded exchange rate.",
    )
