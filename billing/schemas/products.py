"""The shapes of products."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import StrictSerializer


class ProductChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    tax_category = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=64,
        help_text="Finds rates of its own in the tax table; empty: the general ones.",
    )


class ProductSerializer(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    tax_category = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=64,
        help_text="Finds rates of its own in the tax table; empty: the general ones.",
    )
