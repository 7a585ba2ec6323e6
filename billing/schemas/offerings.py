"""The shapes of offerings."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import StrictSerializer

from ..models import Offering


class NewOfferingSerializer(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    name = serializers.CharField(max_length=200)
    plans = serializers.ListField(
        child=serializers.CharField(), min_length=1, max_length=100, help_text="Codes of rate plans."
    )
    billing_mode = serializers.ChoiceField(
        Offering.BillingMode.choices, required=False, help_text="POSTPAID if left out."
    )
    currency = serializers.CharField(required=False, help_text="That of the plans, which must agree.")
    payment_terms_days = serializers.IntegerField(
        required=False, min_value=0, max_value=3650, help_text="Net days; 30 if left out."
    )


class OfferingSerializer(NewOfferingSerializer):
    plans = serializers.SerializerMethodField()

    def get_plans(self, offering: Offering) -> list[str]:
        return [row.plan.code for row in offering.plans.all()]
