"""The shapes of coupons."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField, RateField
from aforo.http.serializers import InstantField, StrictSerializer

from ..models import Coupon

# Named for the description of the API (ENUM_NAME_OVERRIDES).
COUPON_KINDS = Coupon.Kind.choices
_COUNT_MAX = 2_147_483_647


class NewCouponSerializer(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    name = serializers.CharField(max_length=200, help_text="What the invoice line says.")
    kind = serializers.ChoiceField(COUPON_KINDS)
    percent = RateField(required=False, allow_null=True, help_text="PERCENTAGE: 5 means 5 %.")
    amount = AmountField(required=False, allow_null=True, help_text="FIXED_AMOUNT.")
    currency = serializers.CharField(required=False, help_text="Of the amount; yours if left out.")
    duration = serializers.ChoiceField(
        Coupon.Duration.choices, required=False, help_text="FOREVER if left out."
    )
    duration_periods = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=1200,
        help_text="REPEATING: for so many periods.",
    )
    redemptions_max = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=_COUNT_MAX, help_text="Over all customers."
    )
    redemptions_max_per_customer = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=_COUNT_MAX
    )


class CouponSerializer(NewCouponSerializer):
    redemption_count = serializers.IntegerField()


class AttachSerializer(StrictSerializer):
    subscription = serializers.CharField(help_text="Its code.")


class RedemptionSerializer(serializers.Serializer):
    coupon = serializers.CharField(source="coupon.code")
    subscription = serializers.CharField(source="subscription.code")
    redeemed_at = InstantField()
