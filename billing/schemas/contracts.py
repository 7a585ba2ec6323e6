"""The shapes of contracts."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import PageQuery, StrictSerializer

from .fields import AmountField, DayField, RateField


class NewContractSerializer(StrictSerializer):
    """The term is [starts_on, ends_on) in the customer's zone; a period that it cuts counts in proportion."""

    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    subscription = serializers.CharField(help_text="Its code.")
    currency = serializers.CharField(required=False, help_text="The subscription's, which it must be.")
    starts_on = DayField()
    ends_on = DayField(
        required=False, allow_null=True, help_text="First day no longer in the term; null: open."
    )
    minimum_amount = AmountField(
        required=False, allow_null=True, help_text="Committed minimum of each billing period."
    )
    maximum_amount = AmountField(
        required=False, allow_null=True, help_text="Committed maximum of each billing period."
    )
    discount_percent = RateField(required=False, allow_null=True, help_text="5 means 5 %.")
    payment_terms_days = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=3650,
        help_text="Net days; null: the offering's.",
    )


class ContractSerializer(NewContractSerializer):
    subscription = serializers.CharField(source="subscription.code")
    customer = serializers.CharField(source="subscription.customer.external_id")


class ContractsQuery(PageQuery):
    subscription = serializers.CharField(required=False, help_text="Its code.")
