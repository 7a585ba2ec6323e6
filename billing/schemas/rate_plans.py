"""The shapes of rate plans, their versions, charges and tiers. Prices and quantities are exact decimal text."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.fields import AmountField, RateField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer

from ..models import Charge, RatePlanVersion

# Named for the description of the API (ENUM_NAME_OVERRIDES).
CHARGE_KINDS = Charge.Kind.choices
CHARGES_MAX = 200
TIERS_MAX = 200
_CURRENCY = "version.plan.currency"


class TierSerializer(StrictSerializer):
    """Covers (previous up_to, up_to] of the billable units."""

    up_to = RateField(
        allow_null=True, help_text="Last unit of the tier; null for the last tier, which is open."
    )
    unit_price = RateField(required=False, help_text="GRADUATED, VOLUME_TIERED: of each unit; 0 if left out.")
    percent = RateField(
        required=False, help_text="GRADUATED_PERCENTAGE: of the amounts in the tier; 2.5 means 2.5 %."
    )
    flat_fee = RateField(required=False, help_text="Due once, with the tier's first unit; 0 if left out.")
    cap = RateField(
        required=False,
        allow_null=True,
        help_text="The tier costs at most this, its flat fee included. STAIRSTEP has none.",
    )


class NewChargeSerializer(StrictSerializer):
    """One priced meter, or a fee. A column that the model does not know is refused."""

    code = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=200, help_text="What the invoice line says.")
    kind = serializers.ChoiceField(
        CHARGE_KINDS, required=False, help_text="USAGE if left out; FEE has no meter and is FLAT_RATE."
    )
    timing = serializers.ChoiceField(
        Charge.Timing.choices,
        required=False,
        help_text="ARREARS if left out. ADVANCE: a fee that is billed with the invoice before its period.",
    )
    model = serializers.ChoiceField(Charge.Model.choices)
    meter = serializers.CharField(
        required=False, allow_null=True, help_text="Key of the meter that is priced."
    )
    dimension_filters = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text='Only usage with these group-by values: {"model": "gpt-4o"}.',
    )
    unit_price = RateField(
        required=False,
        allow_null=True,
        help_text="PER_UNIT, INCLUDED_QUOTA: of a unit; with blocks, of a block.",
    )
    amount = RateField(required=False, allow_null=True, help_text="FLAT_RATE: of the whole period.")
    tiers = TierSerializer(
        many=True,
        required=False,
        max_length=TIERS_MAX,
        help_text="GRADUATED, VOLUME_TIERED, STAIRSTEP, GRADUATED_PERCENTAGE: ascending.",
    )
    percent = RateField(required=False, allow_null=True, help_text="PERCENTAGE: 2.5 means 2.5 %.")
    fixed_fee = RateField(required=False, allow_null=True, help_text="PERCENTAGE: of each transaction.")
    minimum_fee = RateField(
        required=False, allow_null=True, help_text="PERCENTAGE: at least, for the period."
    )
    minimum_without_transactions = serializers.BooleanField(
        required=False,
        help_text="PERCENTAGE: the minimum fee is due without transactions, too; true if left out.",
    )
    included_units = RateField(required=False, help_text="Free of charge each period.")
    block_size = RateField(required=False, allow_null=True, help_text="INCLUDED_QUOTA: units in a block.")
    rate_basis = serializers.ChoiceField(
        Charge.RateBasis.choices,
        required=False,
        allow_blank=True,
        help_text="INCLUDED_QUOTA; per_block if empty.",
    )
    package_size = RateField(required=False, allow_null=True, help_text="PACKAGE: units in a package.")
    package_price = RateField(required=False, allow_null=True, help_text="PACKAGE: of each package begun.")
    multiplier = RateField(
        required=False,
        allow_null=True,
        help_text="DYNAMIC: of the prices that events carry, which its meter sums up; null: 1.",
    )
    minimum_amount = AmountField(
        currency=_CURRENCY, required=False, allow_null=True, help_text="The line is at least this."
    )
    maximum_amount = AmountField(
        currency=_CURRENCY, required=False, allow_null=True, help_text="The line is at most this."
    )
    quota_units = RateField(required=False, allow_null=True, help_text="The plan's quota for the period.")
    over_quota = serializers.ChoiceField(Charge.OverQuota.choices, required=False)
    rollover_percent = RateField(required=False, allow_null=True, help_text="Of the included units, at most.")
    rollover_units_max = RateField(required=False, allow_null=True)
    rollover_periods = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=1200,
        help_text="Periods for which unused included units live on; null: no rollover.",
    )


class ChargeSerializer(NewChargeSerializer):
    """A charge with all of its columns; those that its model lacks are null."""

    meter = serializers.CharField(source="meter.key", default=None, allow_null=True)


class VersionChangeSerializer(StrictSerializer):
    proration = serializers.ChoiceField(
        RatePlanVersion.Proration.choices,
        required=False,
        help_text="How a cut period counts; by day if left out.",
    )
    charges = NewChargeSerializer(
        many=True, max_length=CHARGES_MAX, help_text="All of them, in the order of the invoice."
    )


class NewVersionSerializer(VersionChangeSerializer):
    charges = NewChargeSerializer(
        many=True,
        required=False,
        max_length=CHARGES_MAX,
        help_text="Those of the newest published version if left out.",
    )


class VersionSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    status = serializers.ChoiceField(RatePlanVersion.Status.choices)
    proration = serializers.ChoiceField(RatePlanVersion.Proration.choices)
    created_at = InstantField()
    published_at = InstantField(allow_null=True)
    charges = ChargeSerializer(many=True)


class VersionDiffQuery(StrictSerializer):
    against = serializers.IntegerField(
        required=False, min_value=1, help_text="Number of the other version; the one before if left out."
    )


class TermChangeSerializer(serializers.Serializer):
    term = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class ChargeChangeSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    change = serializers.ChoiceField(["ADDED", "REMOVED", "CHANGED"])
    sentence = serializers.CharField()
    terms = TermChangeSerializer(many=True)


class VersionDiffSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    against = serializers.IntegerField(allow_null=True, help_text="null: there is no version before.")
    charges = ChargeChangeSerializer(many=True, help_text="Those that differ.")


class NewRatePlanSerializer(StrictSerializer):
    product = serializers.CharField(help_text="Its code.")
    code = serializers.CharField(max_length=64, help_text="Your own short name of it.")
    name = serializers.CharField(max_length=200)
    currency = serializers.CharField(required=False, help_text="ISO 4217; yours if left out.")
    proration = serializers.ChoiceField(RatePlanVersion.Proration.choices, required=False)
    charges = NewChargeSerializer(
        many=True, required=False, max_length=CHARGES_MAX, help_text="Of version 1, a draft."
    )


class RatePlanSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    product = serializers.CharField(source="product.code")
    currency = serializers.CharField()
    versions = VersionSerializer(many=True, help_text="The newest first.")


class RatePlansQuery(PageQuery):
    product = serializers.CharField(required=False, help_text="Its code.")
