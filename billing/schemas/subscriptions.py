"""The shapes of subscriptions and their periods."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aforo.http.fields import DayField, RateField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import Subscription
from ..models.catalog import TRIAL_DAYS_MAX, Interval
from ..models.subscription import SubscriptionState
from .invoices import PeriodSerializer

PERIODS_MAX = 120


class NewSubscriptionSerializer(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text="Your own name of it.")
    customer = serializers.CharField(help_text="Its external_id.")
    offering = serializers.CharField(help_text="Its code; its currency is the customer's.")
    plan = serializers.CharField(
        required=False, help_text="Code of one of the plans of a standalone offering, if it has several."
    )
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Number of a published version; the newest if left out."
    )
    starts_on = DayField(required=False, help_text="From midnight in the customer's zone; today if left out.")
    starts_at = InstantField(required=False, help_text="An instant instead of a day.")
    anchor_on = DayField(
        required=False,
        help_text="Local day whose day of month starts each period; the start's if left out. Clipped at month end.",
    )
    quantity = RateField(required=False, min_value=0, help_text="How often the fees are due; 1 if left out.")
    trial_days = serializers.IntegerField(
        required=False, min_value=0, max_value=TRIAL_DAYS_MAX, help_text="The offering's if left out."
    )


class ItemSerializer(serializers.Serializer):
    """A stretch of time in which the subscription holds a plan version."""

    offering = serializers.CharField(source="offering.code")
    plan = serializers.CharField(source="plan_version.plan.code")
    version = serializers.IntegerField(source="plan_version.number")
    quantity = RateField()
    starts_at = InstantField()
    ends_at = InstantField(allow_null=True, help_text="Null while it is open.")
    trial_ends_at = InstantField(allow_null=True, help_text="First billed instant after a trial.")


class PhaseSerializer(serializers.Serializer):
    before = serializers.CharField(help_text="Empty for the first.")
    after = serializers.ChoiceField(SubscriptionState.choices)
    reason = serializers.CharField()
    moved_at = InstantField()


class SubscriptionSerializer(serializers.Serializer):
    code = serializers.CharField()
    customer = serializers.CharField(source="customer.external_id")
    offering = serializers.CharField(source="offering.code")
    currency = serializers.CharField(source="offering.currency")
    state = serializers.ChoiceField(SubscriptionState.choices)
    starts_at = InstantField(help_text="Its first instant.")
    ends_at = InstantField(allow_null=True, help_text="First instant no longer billed.")
    interval = serializers.ChoiceField(Interval.choices)
    anchor_on = serializers.DateField(help_text="What the periods are counted from.")
    items = ItemSerializer(many=True, help_text="What it holds, held and will hold.")
    coupons = serializers.SerializerMethodField(help_text="In the order they were attached.")
    phases = PhaseSerializer(many=True, help_text="Every move of its state.")
    created_at = InstantField()

    def get_coupons(self, subscription: Subscription) -> list[str]:
        return [redemption.coupon.code for redemption in subscription.coupons.all()]


class SubscriptionsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="Its external_id.")
    offering = serializers.CharField(required=False, help_text="Its code.")
    state = serializers.ChoiceField(SubscriptionState.choices, required=False)


class MoveSerializer(StrictSerializer):
    to = serializers.ChoiceField(SubscriptionState.choices)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=200)
    at = InstantField(required=False, help_text="When it moved; now if left out, not in the future.")


class ChangeSerializer(StrictSerializer):
    plan = serializers.CharField(
        required=False, help_text="Code of the plan that changes, if several are held."
    )
    to_plan = serializers.CharField(
        required=False, help_text="Code of another plan of a standalone offering."
    )
    version = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="Number of a published version; of another plan, the newest if left out.",
    )
    quantity = RateField(required=False, min_value=0, help_text="As before if left out.")
    at = InstantField(required=False, help_text="First instant of what it holds then; now if left out.")
    at_period_end = serializers.BooleanField(
        required=False, source="is_at_period_end", help_text="At the end of the present period instead."
    )


class AddOnSerializer(StrictSerializer):
    offering = serializers.CharField(help_text="Code of an add-on.")
    quantity = RateField(required=False, min_value=0, help_text="How often the fees are due; 1 if left out.")
    trial_days = serializers.IntegerField(
        required=False, min_value=0, max_value=TRIAL_DAYS_MAX, help_text="The add-on's if left out."
    )
    at = InstantField(required=False, help_text="First instant of it; now if left out.")


class RemovalSerializer(StrictSerializer):
    offering = serializers.CharField(help_text="Code of an add-on.")
    at = InstantField(required=False, help_text="First instant without it; now if left out.")
    at_period_end = serializers.BooleanField(
        required=False, source="is_at_period_end", help_text="At the end of the present period instead."
    )


class CancellationSerializer(StrictSerializer):
    at = InstantField(required=False, help_text="First instant no longer billed; now if left out.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=200)


class ChangePreviewSerializer(StrictSerializer):
    """One of them: the body of the request that would make the change."""

    change = ChangeSerializer(required=False)
    add = AddOnSerializer(required=False)
    remove = RemovalSerializer(required=False)
    move = MoveSerializer(required=False)
    cancel = CancellationSerializer(required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if len(fields) != 1:
            raise serializers.ValidationError("Give one of change, add, remove, move and cancel.")
        return fields


class LineChangeSerializer(serializers.Serializer):
    kind = serializers.CharField()
    code = serializers.CharField()
    description = serializers.CharField()
    before = serializers.CharField(
        help_text="What the line comes to now, discounts included; 0 where it is not there."
    )
    after = serializers.CharField()


class ChangedInvoiceSerializer(serializers.Serializer):
    """The invoice of the period in which the change takes effect."""

    period = PeriodSerializer()
    currency = serializers.CharField()
    before = serializers.CharField(help_text="Its total now.")
    after = serializers.CharField(help_text="Its total with the change.")
    lines = LineChangeSerializer(many=True, help_text="Those that differ.")


class PeriodsQuery(StrictSerializer):
    start = InstantField(required=False, help_text="From the period that holds it; the first if left out.")
    limit = serializers.IntegerField(required=False, default=12, min_value=1, max_value=PERIODS_MAX)


class BilledPeriodSerializer(serializers.Serializer):
    """A period and the part of it that is billed: equal, unless the subscription starts or ends inside."""

    cycle = PeriodSerializer(help_text="The whole period.")
    billed = PeriodSerializer(help_text="The part in which the subscription runs.")


class PeriodsSerializer(serializers.Serializer):
    data = BilledPeriodSerializer(many=True)
