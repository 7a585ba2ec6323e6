"""The shapes of contracts."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField, DayField, RateField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import Charge, Contract, ContractCommitment
from ..selectors.contracts import undercuts

# Named for the description of the API (ENUM_NAME_OVERRIDES).
COMMITMENT_KINDS = ContractCommitment.Kind.choices
ROWS_MAX = 100


class NewScopeSerializer(StrictSerializer):
    """One product, one meter, or with neither of them the whole contract."""

    product = serializers.CharField(required=False, allow_null=True, help_text="Its code.")
    meter = serializers.CharField(required=False, allow_null=True, help_text="Its key.")


class NewCommitmentSerializer(NewScopeSerializer):
    """The least or the most that is spent in a scope, each period from the contract's start."""

    kind = serializers.ChoiceField(COMMITMENT_KINDS, required=False, help_text="MINIMUM if left out.")
    amount = AmountField(currency="contract.currency", help_text="Of the whole period.")
    period = serializers.ChoiceField(
        ContractCommitment.Interval.choices, required=False, help_text="A year if left out."
    )
    true_up = serializers.ChoiceField(
        ContractCommitment.Interval.choices,
        required=False,
        allow_blank=True,
        help_text="How often a shortfall is billed; once a period if empty. A maximum has none.",
    )


class NewContractDiscountSerializer(NewScopeSerializer):
    """A percentage off the scope's lines, once the threshold is reached in a billing period."""

    percent = RateField(help_text="5 means 5 %.")
    threshold = RateField(required=False, help_text="From so many units, or so much spent; 0 if left out.")
    threshold_meter = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="Key of the meter whose units are counted; null: money spent in the scope.",
    )


class ContractPriceSerializer(StrictSerializer):
    """Other terms of a charge."""

    charge = serializers.CharField(max_length=64, help_text="The charge's code on the plan.")
    model = serializers.ChoiceField(Charge.Model.choices)
    terms = serializers.DictField(help_text='In the words of `manage.py price`: {"unit_price": "0.004"}.')


class NewContractTrialSerializer(StrictSerializer):
    """Days from the contract's start in which a product is free."""

    product = serializers.CharField(help_text="Its code.")
    days = serializers.IntegerField(min_value=1, max_value=3650)


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
    renewal_months = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=1200,
        help_text="Renewed by so many months at its end; null: it ends.",
    )
    notice_days = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=3650,
        help_text="So many days before the end it is renewed, unless it was terminated before; 0 if left out.",
    )
    commitments = NewCommitmentSerializer(many=True, required=False, max_length=ROWS_MAX)
    discounts = NewContractDiscountSerializer(many=True, required=False, max_length=ROWS_MAX)
    prices = ContractPriceSerializer(
        many=True, required=False, max_length=ROWS_MAX, help_text="Other terms of charges, inside the term."
    )
    trials = NewContractTrialSerializer(many=True, required=False, max_length=ROWS_MAX)


class _Scope(serializers.Serializer):
    product = serializers.CharField(source="product.code", default=None, allow_null=True)
    meter = serializers.CharField(source="meter.key", default=None, allow_null=True)


class CommitmentSerializer(_Scope, NewCommitmentSerializer):
    pass


class ContractDiscountSerializer(_Scope, NewContractDiscountSerializer):
    threshold_meter = serializers.CharField(source="threshold_meter.key", default=None, allow_null=True)


class ContractTrialSerializer(NewContractTrialSerializer):
    product = serializers.CharField(source="product.code")


class RenewalSerializer(serializers.Serializer):
    """One more term, [starts_on, ends_on)."""

    starts_on = DayField()
    ends_on = DayField()
    renewed_at = InstantField()


class ContractSerializer(NewContractSerializer):
    subscription = serializers.CharField(source="subscription.code")
    customer = serializers.CharField(source="subscription.customer.external_id")
    commitments = CommitmentSerializer(many=True)
    discounts = ContractDiscountSerializer(many=True)
    trials = ContractTrialSerializer(many=True)
    terminated_at = InstantField(allow_null=True)
    renewals = RenewalSerializer(many=True)
    warnings = serializers.SerializerMethodField(
        help_text="Sentences about terms that work against each other."
    )

    def get_warnings(self, contract: Contract) -> list[str]:
        return undercuts(contract)


class TerminationSerializer(StrictSerializer):
    ends_on = DayField(
        required=False, allow_null=True, help_text="First day without the contract; of an open one only."
    )


class ContractsQuery(PageQuery):
    subscription = serializers.CharField(required=False, help_text="Its code.")
