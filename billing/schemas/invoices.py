"""The shapes of invoices. Amounts are decimal text in the currency's own places; quantities and prices are exact."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aforo.http.serializers import InstantField, StrictSerializer

from ..models import Invoice, InvoiceLine
from ..selectors.periods import month_window

# Named for the description of the API (ENUM_NAME_OVERRIDES).
TAX_TREATMENTS = ["REVERSE_CHARGE", "EXEMPT", "OUT_OF_SCOPE"]
STORED_STATUSES = Invoice.Status.values
SHOWN_STATUSES = ["PREVIEW", *STORED_STATUSES]


class MonthField(serializers.CharField):
    """A month written 2026-03."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        month_window(text)
        return text


class PeriodSerializer(serializers.Serializer):
    """Half-open, in UTC; cut at midnight in the customer's zone."""

    start = InstantField()
    end = InstantField()


class InvoiceSummarySerializer(serializers.Serializer):
    id = serializers.UUIDField(allow_null=True, help_text="Null for a preview.")
    number = serializers.CharField(allow_null=True, help_text="Given at issue, without gaps; null before.")
    status = serializers.ChoiceField(SHOWN_STATUSES)
    customer = serializers.CharField(help_text="Its external id.")
    subscription = serializers.CharField(help_text="Its code.")
    currency = serializers.CharField()
    period = PeriodSerializer(help_text="The whole billing period.")
    last_on = serializers.DateField(help_text="Last billed day in the customer's zone.")
    issued_at = InstantField(allow_null=True)
    due_on = serializers.DateField(allow_null=True)
    subtotal = serializers.CharField(help_text="Lines before commitment and discount.")
    commitment = serializers.CharField(help_text="True-up (positive) or cap (negative).")
    discount = serializers.CharField(help_text="Zero or negative.")
    tax = serializers.CharField()
    total = serializers.CharField()
    wallet_amount = serializers.CharField(help_text="What the wallet pays of the total.")
    due_amount = serializers.CharField(help_text="What is left to be paid.")


class InvoiceTierSerializer(serializers.Serializer):
    """quantity × unit_price + flat_fee = amount, unrounded."""

    tier = serializers.IntegerField()
    quantity = serializers.CharField()
    unit_price = serializers.CharField()
    flat_fee = serializers.CharField()
    amount = serializers.CharField()


class InvoiceLineSerializer(serializers.Serializer):
    position = serializers.IntegerField()
    kind = serializers.ChoiceField(InvoiceLine.Kind.values)
    code = serializers.CharField(help_text="Of the charge, coupon or contract.")
    description = serializers.CharField()
    quantity = serializers.CharField(allow_null=True, help_text="Units metered; 1 for a fee.")
    amount = serializers.CharField(help_text="Before discounts; of a discount, negative.")
    discount = serializers.CharField(help_text="The line's share of all discounts, zero or negative.")
    tiers = InvoiceTierSerializer(many=True)
    adjusts = serializers.CharField(
        allow_null=True,
        help_text="Number of an earlier invoice, where the line is the difference of what its period comes to now and "
        "what was billed.",
    )
    corrections = serializers.ListField(
        child=serializers.UUIDField(),
        help_text="Ids of the corrections that an adjusting line comes of; none where late usage came.",
    )


class InvoiceTaxSerializer(serializers.Serializer):
    jurisdiction = serializers.CharField()
    name = serializers.CharField()
    percent = serializers.CharField()
    is_inclusive = serializers.BooleanField(help_text="Contained in the prices.")
    taxable_amount = serializers.CharField()
    amount = serializers.CharField()
    treatment = serializers.ChoiceField(
        TAX_TREATMENTS, allow_null=True, help_text="Why no tax is due; null for a rate."
    )
    note = serializers.CharField(allow_null=True, help_text="What the invoice says of it.")


class InvoiceIssueSerializer(serializers.Serializer):
    severity = serializers.ChoiceField(["warning"])
    code = serializers.CharField()
    sentence = serializers.CharField()
    subject = serializers.CharField(help_text="The charge or contract concerned; may be empty.")


class InvoiceSerializer(InvoiceSummarySerializer):
    lines = InvoiceLineSerializer(many=True)
    seller_vat_number = serializers.CharField(allow_null=True, help_text="Yours when the invoice was made.")
    customer_vat_number = serializers.CharField(allow_null=True)
    taxes = InvoiceTaxSerializer(many=True)
    issues = InvoiceIssueSerializer(many=True)
    input_hash = serializers.CharField(help_text="SHA-256 of the sealed input.")
    result_hash = serializers.CharField(help_text="SHA-256 of all that the stages wrote.")
    chain_hash = serializers.CharField(
        allow_null=True, help_text="Joins it to the tenant's invoice before; null before issue."
    )


class ExplanationSerializer(serializers.Serializer):
    code = serializers.CharField()
    subject = serializers.CharField()
    sentence = serializers.CharField()
    facts = serializers.DictField(child=serializers.CharField())


class StageSerializer(serializers.Serializer):
    stage = serializers.CharField()
    name = serializers.CharField()
    hash = serializers.CharField(help_text="SHA-256 over what the stage wrote, its issues and explanations.")
    explanations = ExplanationSerializer(many=True)


class TraceSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True)
    input_hash = serializers.CharField()
    result_hash = serializers.CharField()
    stages = StageSerializer(many=True, help_text="The ten stages, in order.")


class InvoicesQuery(StrictSerializer):
    customer = serializers.CharField(required=False, help_text="External id.")
    status = serializers.ChoiceField(STORED_STATUSES, required=False)
    period = MonthField(required=False, help_text="The month in which the period ends, such as 2026-03.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")


class PreviewSerializer(StrictSerializer):
    subscription = serializers.CharField(help_text="Its code.")
    at = InstantField(
        required=False, help_text="The period that holds this instant; the present one if left out."
    )
