"""The shapes of exemption certificates."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import DayField
from aforo.http.serializers import PageQuery, StrictSerializer


class NewTaxExemptionSerializer(StrictSerializer):
    """A certificate in force on [starts_on, ends_on); a customer has one a jurisdiction and day."""

    customer = serializers.CharField(help_text="Its external_id.")
    jurisdiction = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=32,
        help_text="With those inside it: US covers US-NY. Empty: every one.",
    )
    number = serializers.CharField(max_length=64, help_text="Of the certificate; invoices name it.")
    reason = serializers.CharField(max_length=200, help_text="Such as resale, or public education.")
    document_reference = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="Where the document is kept: an address or a file number.",
    )
    starts_on = DayField()
    ends_on = DayField(required=False, allow_null=True, help_text="First day without it; null: open.")


class TaxExemptionSerializer(NewTaxExemptionSerializer):
    customer = serializers.CharField(source="customer.external_id")
    id = serializers.UUIDField()


class TaxExemptionEndSerializer(StrictSerializer):
    ends_on = DayField(help_text="First day without it.")


class TaxExemptionsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="Its external_id.")
    jurisdiction = serializers.CharField(required=False)
