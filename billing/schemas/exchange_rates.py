"""The shape of exchange rates."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import DayField, RateField
from aforo.http.serializers import PageQuery, StrictSerializer


class ExchangeRateSerializer(StrictSerializer):
    """One of `base` is `rate` of `quote`, from `on` until the next recorded day, a week at most."""

    base = serializers.CharField(help_text="ISO 4217 code, of the wallet.")
    quote = serializers.CharField(help_text="ISO 4217 code, of the invoice.")
    on = DayField()
    rate = RateField(help_text="Above zero: USD to EUR 0.92.")


class ExchangeRatesQuery(PageQuery):
    base = serializers.CharField(required=False)
    quote = serializers.CharField(required=False)
    on = DayField(required=False)
