"""The shapes of wallets and their grants."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import WalletGrant
from .fields import AmountField

# Named for the description of the API (ENUM_NAME_OVERRIDES).
GRANT_KINDS = WalletGrant.Kind.choices


class NewWalletSerializer(StrictSerializer):
    customer = serializers.CharField(help_text="Its external_id.")
    currency = serializers.CharField(required=False, help_text="The customer's if left out.")


class WalletSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    customer = serializers.CharField(source="customer.external_id")
    currency = serializers.CharField()


class NewGrantSerializer(StrictSerializer):
    amount = AmountField(help_text="Above zero.")
    kind = serializers.ChoiceField(
        GRANT_KINDS, required=False, help_text="CASH if left out. PROMO pays first, then BONUS."
    )
    starts_at = InstantField(required=False, help_text="Counts from then; now if left out.")
    expires_at = InstantField(required=False, allow_null=True, help_text="Counts until then; null: for ever.")


class GrantSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(GRANT_KINDS)
    amount = AmountField(currency="wallet.currency")
    starts_at = InstantField()
    expires_at = InstantField(allow_null=True)
    created_at = InstantField()


class GrantLeftSerializer(GrantSerializer):
    left = AmountField(
        currency="wallet.currency",
        help_text="What can be used now: 0 before it starts and once it has expired.",
    )


class WalletBalanceSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="wallet.id")
    customer = serializers.CharField(source="wallet.customer.external_id")
    currency = serializers.CharField(source="wallet.currency")
    balance = AmountField(currency="wallet.currency", help_text="What all grants have left now.")
    grants = GrantLeftSerializer(many=True, help_text="In the order in which they are used.")


class WalletsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="Its external_id.")
    currency = serializers.CharField(required=False)
