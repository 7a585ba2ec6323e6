"""The shapes of wallets, their grants, holds and movements."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import WalletGrant, WalletHold
from ..models.wallet import MOVEMENT_KINDS

# Named for the description of the API (ENUM_NAME_OVERRIDES).
GRANT_KINDS = WalletGrant.Kind.choices
HOLD_STATUSES = WalletHold.Status.choices


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
        help_text="What of it counts now: nothing before it starts, and of one that has expired what is held.",
    )
    held = AmountField(currency="wallet.currency", help_text="What of that holds set aside.")


class GrantReductionSerializer(StrictSerializer):
    amount = AmountField(
        required=False,
        help_text="At most what is neither burned nor held; all of that if left out, which voids the grant.",
    )
    reason = serializers.CharField(max_length=200)


class WalletBalanceSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="wallet.id")
    customer = serializers.CharField(source="wallet.customer.external_id")
    currency = serializers.CharField(source="wallet.currency")
    balance = AmountField(currency="wallet.currency", help_text="What all grants have left now.")
    held = AmountField(currency="wallet.currency", help_text="What of it holds set aside.")
    available = AmountField(
        currency="wallet.currency", help_text="The rest: what a hold or an invoice can take."
    )
    grants = GrantLeftSerializer(many=True, help_text="In the order in which they are used.")


class WalletsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="Its external_id.")
    currency = serializers.CharField(required=False)


class NewHoldSerializer(StrictSerializer):
    amount = AmountField(help_text="Above zero, at most what is available.")
    reference = serializers.CharField(
        max_length=255,
        help_text="Your own name of the use, once a wallet. Sent again it gives the same hold, as it stands now.",
    )
    expires_at = InstantField(required=False, help_text="Holds until then; an hour from now if left out.")


class HoldSettlementSerializer(StrictSerializer):
    amount = AmountField(
        required=False,
        help_text="Above zero, at most the hold's; all of it if left out. The rest is free again.",
    )


class HoldSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    wallet = serializers.UUIDField(source="wallet_id")
    reference = serializers.CharField()
    status = serializers.ChoiceField(HOLD_STATUSES)
    amount = AmountField(currency="wallet.currency")
    settled_amount = AmountField(currency="wallet.currency", help_text="What of it was burned.")
    created_at = InstantField()
    expires_at = InstantField()
    closed_at = InstantField(allow_null=True, help_text="When it was settled, released or ran out.")


class HoldsQuery(PageQuery):
    status = serializers.ChoiceField(HOLD_STATUSES, required=False)
    reference = serializers.CharField(required=False)


class MovementSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    at = InstantField(help_text="When it counts: a grant from its start.")
    kind = serializers.ChoiceField(MOVEMENT_KINDS)
    amount = AmountField(currency="wallet.currency", help_text="Positive in, negative out.")
    balance = AmountField(currency="wallet.currency", help_text="All that moved until then.")
    grant = serializers.UUIDField(source="grant_id", help_text="Whose money moved.")
    grant_kind = serializers.ChoiceField(GRANT_KINDS, source="grant.kind")
    invoice = serializers.CharField(source="invoice.number", default=None, help_text="Its number.")
    hold = serializers.CharField(source="hold.reference", default=None, help_text="Its reference.")
    reason = serializers.CharField(help_text="Of what was taken back; empty otherwise.")


class MovementsQuery(PageQuery):
    kind = serializers.ChoiceField(MOVEMENT_KINDS, required=False)
    since = InstantField(required=False, help_text="Only what counts from then on.")
