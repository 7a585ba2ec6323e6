"""The shapes of the tax table."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import DayField, RateField
from aforo.http.serializers import PageQuery, StrictSerializer


class NewTaxRateSerializer(StrictSerializer):
    """A rate in force on [starts_on, ends_on); the same tax of a jurisdiction has one rate a day."""

    jurisdiction = serializers.CharField(
        max_length=32,
        help_text="Such as US-NY or DE; customers name it. A customer of US-NY-NYC pays US, US-NY and US-NY-NYC.",
    )
    name = serializers.CharField(
        max_length=100, help_text="What the invoice says; taxes of several names add up."
    )
    percent = RateField(help_text="8.875 means 8.875 %.")
    is_inclusive = serializers.BooleanField(required=False, help_text="Prices already contain the tax.")
    position = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=32767,
        help_text="Order in which taxes are taken; 1 if left out.",
    )
    is_compound = serializers.BooleanField(
        required=False, help_text="Taken of the net and the taxes before it, such as 7.5 % of 105.00."
    )
    tax_category = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=64,
        help_text="Only for products of this category, in place of the general rate of the name.",
    )
    starts_on = DayField()
    ends_on = DayField(required=False, allow_null=True, help_text="First day without it; null: open.")


class TaxRateSerializer(NewTaxRateSerializer):
    id = serializers.UUIDField()


class TaxRateEndSerializer(StrictSerializer):
    ends_on = DayField(help_text="First day without it.")


class TaxRatesQuery(PageQuery):
    jurisdiction = serializers.CharField(required=False)
