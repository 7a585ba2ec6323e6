"""The shapes of moving subscriptions from one version of a rate plan to another."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import StrictSerializer

from .invoices import PeriodSerializer


class _MigrationRequest(StrictSerializer):
    to = serializers.IntegerField(min_value=1, help_text="Number of the other version.")
    subscriptions = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Codes; all that hold the version if left out.",
    )


class MigrationPreviewRequestSerializer(_MigrationRequest):
    period = serializers.ChoiceField(
        ["last", "present"], required=False, help_text="last: the last full one; present: so far."
    )


class MigrationRequestSerializer(_MigrationRequest):
    effective = serializers.ChoiceField(
        ["now", "period_end"], help_text="From when on they hold the other version."
    )


class RefusedSubscriptionSerializer(serializers.Serializer):
    subscription = serializers.CharField()
    sentence = serializers.CharField()


class MigrationEffectSerializer(serializers.Serializer):
    customer = serializers.CharField()
    subscription = serializers.CharField()
    period = PeriodSerializer()
    before = serializers.CharField(help_text="Net of discounts, before tax, under the version it holds.")
    after = serializers.CharField(help_text="The same under the other version.")
    delta = serializers.CharField()


class MigrationPreviewSerializer(serializers.Serializer):
    currency = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    delta = serializers.CharField()
    winners = serializers.IntegerField(help_text="Who would pay less.")
    losers = serializers.IntegerField(help_text="Who would pay more.")
    effects = MigrationEffectSerializer(many=True)
    refused = RefusedSubscriptionSerializer(many=True, help_text="Those that cannot be billed, and why.")


class MigrationSerializer(serializers.Serializer):
    migrated = serializers.IntegerField()
    refused = RefusedSubscriptionSerializer(many=True, help_text="Those that did not move, and why.")
