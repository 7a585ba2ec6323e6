"""The shape of a subscription's current usage."""

from __future__ import annotations

from rest_framework import serializers

from .invoices import InvoiceTierSerializer, PeriodSerializer


class ChargeUsageSerializer(serializers.Serializer):
    kind = serializers.CharField()
    code = serializers.CharField(help_text="The charge's.")
    description = serializers.CharField()
    quantity = serializers.CharField(help_text="Metered units; of a fee, 1.")
    quota = serializers.CharField(allow_null=True, help_text="Units of the period; null without one.")
    remaining = serializers.CharField(allow_null=True, help_text="Of the quota, never below 0.")
    amount = serializers.CharField()
    tiers = InvoiceTierSerializer(many=True)


class CurrentUsageSerializer(serializers.Serializer):
    subscription = serializers.CharField()
    customer = serializers.CharField()
    currency = serializers.CharField()
    period = PeriodSerializer()
    amount = serializers.CharField(help_text="Of all charges, before commitments, discounts and taxes.")
    charges = ChargeUsageSerializer(many=True)
