"""The shapes of offerings."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField
from aforo.http.serializers import StrictSerializer

from ..models import Offering
from ..models.catalog import TRIAL_DAYS_MAX, Interval

OFFERING_KINDS = Offering.Kind.choices


class NewOfferingSerializer(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    name = serializers.CharField(max_length=200)
    plans = serializers.ListField(
        child=serializers.CharField(), min_length=1, max_length=100, help_text="Codes of rate plans."
    )
    kind = serializers.ChoiceField(
        OFFERING_KINDS,
        required=False,
        help_text="STANDALONE if left out: one of the plans at a time. BUNDLE: all of them on one invoice. ADDON: beside a "
        "running subscription.",
    )
    billing_mode = serializers.ChoiceField(
        Offering.BillingMode.choices, required=False, help_text="POSTPAID if left out."
    )
    currency = serializers.CharField(required=False, help_text="That of the plans, which must agree.")
    payment_terms_days = serializers.IntegerField(
        required=False, min_value=0, max_value=3650, help_text="Net days; 30 if left out."
    )
    interval = serializers.ChoiceField(
        Interval.choices, required=False, help_text="How long a period is; a month if left out."
    )
    alignment = serializers.ChoiceField(
        Offering.Alignment.choices,
        required=False,
        help_text="Periods from the day of the start (anniversary, if left out) or by the calendar.",
    )
    trial_days = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=TRIAL_DAYS_MAX,
        help_text="Nothing of them is billed; 0 if left out.",
    )
    setup_fee = AmountField(
        required=False, min_value=0, help_text="Due once, when billing begins; 0 if left out."
    )


class OfferingSerializer(NewOfferingSerializer):
    plans = serializers.SerializerMethodField()

    def get_plans(self, offering: Offering) -> list[str]:
        return [row.plan.code for row in offering.plans.all()]
