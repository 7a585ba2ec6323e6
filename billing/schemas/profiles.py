"""The shape of the billing profile."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import StrictSerializer

from ..models import BillingProfile


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
    rounding = serializers.ChoiceField(BillingProfile.Rounding.choices, required=False)
