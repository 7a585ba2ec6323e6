"""The shapes of credit notes. Amounts are those given back."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import CreditNote

# Named for the description of the API (ENUM_NAME_OVERRIDES).
CREDIT_NOTE_STATUSES = CreditNote.Status.choices
_CURRENCY = "note.invoice.currency"


class NewCreditNoteLineSerializer(StrictSerializer):
    position = serializers.IntegerField(min_value=1, help_text="Of the invoice's line.")
    amount = AmountField(help_text="To give back, net of the line's discount; its taxes follow.")


class NewCreditNoteSerializer(StrictSerializer):
    invoice = serializers.CharField(help_text="Its number or id.")
    reason = serializers.CharField(max_length=300, help_text="Why; the customer reads it.")
    lines = NewCreditNoteLineSerializer(
        many=True, required=False, allow_empty=False, help_text="All that is left of the invoice if left out."
    )


class CreditNoteLineSerializer(serializers.Serializer):
    position = serializers.IntegerField(source="line.position")
    code = serializers.CharField(source="line.code")
    description = serializers.CharField(source="line.description")
    amount = AmountField(currency=_CURRENCY)


class CreditNoteTaxSerializer(serializers.Serializer):
    jurisdiction = serializers.CharField(source="tax.jurisdiction")
    name = serializers.CharField(source="tax.name")
    amount = AmountField(currency=_CURRENCY)


class CreditNoteSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True, help_text="Given at issue, without gaps; null before.")
    status = serializers.ChoiceField(CREDIT_NOTE_STATUSES)
    invoice = serializers.CharField(source="invoice.number")
    customer = serializers.CharField(source="invoice.customer.external_id")
    currency = serializers.CharField(source="invoice.currency")
    reason = serializers.CharField()
    net = AmountField(currency="invoice.currency")
    tax = AmountField(currency="invoice.currency", help_text="Contained ones included.")
    total = AmountField(currency="invoice.currency")
    due_amount = AmountField(currency="invoice.currency", help_text="Taken off what was due on the invoice.")
    wallet_amount = AmountField(currency="invoice.currency", help_text="Put into the payer's wallet.")
    created_at = InstantField()
    issued_at = InstantField(allow_null=True)
    applied_at = InstantField(allow_null=True)
    chain_hash = serializers.CharField(help_text="Joins it to the credit note before; empty before issue.")
    lines = CreditNoteLineSerializer(many=True)
    taxes = CreditNoteTaxSerializer(many=True)


class CreditNotesQuery(PageQuery):
    invoice = serializers.CharField(required=False, help_text="Its number.")
    customer = serializers.CharField(required=False, help_text="External id.")
    status = serializers.ChoiceField(CREDIT_NOTE_STATUSES, required=False)
