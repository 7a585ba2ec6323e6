"""The shapes of what fills a wallet: top-ups, their rule, and grants that recur."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField, DayField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import RecurringGrant, WalletTopUp

# Named for the description of the API (ENUM_NAME_OVERRIDES).
TOP_UP_STATUSES = WalletTopUp.Status.choices
RECURRING_KINDS = RecurringGrant.Kind.choices

# A year; what waits longer is better switched off.
COOL_OFF_MINUTES_MAX = 366 * 24 * 60


class NewTopUpRuleSerializer(StrictSerializer):
    threshold = AmountField(help_text="Asked for while less than this is available; above zero.")
    amount = AmountField(help_text="Of each top-up; above zero.")
    cool_off_minutes = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=COOL_OFF_MINUTES_MAX,
        help_text="From one top-up to the next, however the first one ended; 60 if left out.",
    )
    monthly_max = AmountField(
        required=False,
        allow_null=True,
        help_text="Asked for at most in a calendar month of the customer's; null: no limit.",
    )
    is_active = serializers.BooleanField(required=False, help_text="True if left out.")


class TopUpRuleSerializer(serializers.Serializer):
    wallet = serializers.UUIDField(source="wallet_id")
    threshold = AmountField(currency="wallet.currency")
    amount = AmountField(currency="wallet.currency")
    cool_off_minutes = serializers.IntegerField()
    monthly_max = AmountField(currency="wallet.currency", allow_null=True)
    is_active = serializers.BooleanField()
    retry_at = InstantField(
        allow_null=True, help_text="Too little is available, and this is when it may be asked for."
    )


class NewTopUpSerializer(StrictSerializer):
    amount = AmountField(help_text="Above zero.")


class TopUpConfirmationSerializer(StrictSerializer):
    payment_reference = serializers.CharField(
        max_length=255, help_text="The payment's own name, such as that of the bank transfer."
    )


class TopUpFailureSerializer(StrictSerializer):
    failure = serializers.CharField(max_length=200, help_text="Why no payment will come.")


class TopUpSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    wallet = serializers.UUIDField(source="wallet_id")
    status = serializers.ChoiceField(TOP_UP_STATUSES)
    amount = AmountField(currency="wallet.currency")
    is_automatic = serializers.BooleanField(help_text="Asked for by the wallet's rule.")
    requested_at = InstantField()
    closed_at = InstantField(allow_null=True, help_text="When it was paid or failed.")
    payment_reference = serializers.CharField(allow_null=True)
    failure = serializers.CharField()
    grant = serializers.UUIDField(source="grant_id", allow_null=True, help_text="What the payment put in.")


class TopUpsQuery(PageQuery):
    status = serializers.ChoiceField(TOP_UP_STATUSES, required=False)


class NewRecurringGrantSerializer(StrictSerializer):
    kind = serializers.ChoiceField(
        RECURRING_KINDS, required=False, help_text="PROMO if left out; what is paid in recurs by top-ups."
    )
    amount = AmountField(help_text="Of each month; above zero.")
    starts_on = DayField(
        help_text="Today or later, in the customer's zone; each month begins on its day, or the last day of a shorter month."
    )
    ends_on = DayField(required=False, allow_null=True, help_text="First day without it; null: open.")
    is_kept = serializers.BooleanField(
        required=False, help_text="What a month leaves unused stays; otherwise it expires with the month."
    )


class RecurringGrantSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    wallet = serializers.UUIDField(source="wallet_id")
    kind = serializers.ChoiceField(RECURRING_KINDS)
    amount = AmountField(currency="wallet.currency")
    starts_on = DayField()
    ends_on = DayField(allow_null=True)
    is_kept = serializers.BooleanField()
    months_given = serializers.IntegerField(help_text="How many months have begun.")
    next_at = InstantField(allow_null=True, help_text="When the next one begins; null once it has ended.")


class RecurringGrantEndSerializer(StrictSerializer):
    ends_on = DayField(help_text="First day without it; what is given stays.")
