"""Shapes of entitlements' API, for its documentation and for what is read from requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from aforo.http.fields import AmountField, DayField, RateField
from aforo.http.serializers import InstantField, PageQuery, StrictSerializer
from aforo.kernel.decimals import trimmed

from .decision import Reason
from .models import EdgePolicy, Entitlement, Feature, Grant, MarginEvent, MarginPolicy
from .models.grant import RECURRENCE_COUNT_MAX
from .models.margin import Action
from .windows import UNITS

# Named for the description of the API (ENUM_NAME_OVERRIDES).
MARGIN_ACTIONS = Action.choices
MARGIN_EVENT_KINDS = MarginEvent.Kind.choices
MARGIN_SCOPES = MarginPolicy.Scope.choices
MARGIN_WINDOWS = MarginPolicy.Window.choices
MARGIN_MODES = MarginPolicy.Mode.choices
FEATURE_KINDS = Feature.Kind.choices
ENTITLEMENT_LAYERS = Entitlement.Layer.choices
LIMIT_TYPES = Entitlement.LimitType.choices
# As decisions say it.
DECIDED_LIMIT_TYPES = ("hard", "soft")
ENTITLEMENT_WINDOWS = Entitlement.WindowKind.choices
RECURRENCES = Grant.Recurrence.choices
GRANT_STATES = Grant.State.choices
_COUNT_MAX = 2_147_483_647


class TrimmedField(serializers.DecimalField):
    """An exact number, answered as it would be written: 12.5."""

    def to_representation(self, value: Decimal) -> str:
        return trimmed(value)


class FloorField(TrimmedField):
    """A percentage or points of one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=7, decimal_places=2, **options)


class AccessRequestSerializer(serializers.Serializer):
    tenantId = serializers.CharField(required=False, help_text="Your customer's external_id.")
    customerId = serializers.CharField(required=False, help_text="The same, under its own name.")
    featureKey = serializers.CharField()
    quantity = serializers.DecimalField(
        max_digits=24,
        decimal_places=6,
        required=False,
        help_text="Units wanted; 1 unless given, 0 for a look.",
    )
    reserve = serializers.BooleanField(required=False, help_text="Take the units now.")
    ttl_s = serializers.IntegerField(
        required=False, min_value=1, max_value=3_600, help_text="Seconds for which a reservation stands; 60."
    )


class AccessMarginSerializer(serializers.Serializer):
    level = serializers.IntegerField(help_text="0 to 3.")
    downgrades = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text='What to serve instead: {"gpt-4o": "gpt-4o-mini"}.',
    )


class AccessReservationSerializer(serializers.Serializer):
    id = serializers.CharField()
    units = serializers.CharField(help_text="A number where it is whole, else a decimal text.")
    expires_at = serializers.DateTimeField()


class AccessSerializer(serializers.Serializer):
    allowed = serializers.BooleanField()
    quota = serializers.JSONField(
        allow_null=True,
        help_text="Limit of the window: a whole number, or a decimal text where the units have places; null for none.",
    )
    remaining = serializers.JSONField(allow_null=True, help_text="In the same form; never below zero.")
    used = serializers.JSONField(help_text="In the same form: billed usage and open reservations.")
    reason = serializers.ChoiceField([reason.value for reason in Reason])
    feature = serializers.CharField()
    plan = serializers.CharField(allow_null=True)
    limit_type = serializers.ChoiceField(DECIDED_LIMIT_TYPES, allow_null=True)
    reset_at = serializers.DateTimeField(allow_null=True)
    margin = AccessMarginSerializer()
    as_of = serializers.DateTimeField(allow_null=True)
    stale = serializers.BooleanField(help_text="The site has heard nothing for ten seconds.")
    mode = serializers.ChoiceField(["leased", "read"])
    bound = serializers.IntegerField(
        allow_null=True,
        help_text="Units that may be admitted beyond the limit: 0 where leased; null: not bounded.",
    )
    value = serializers.CharField(required=False, help_text="Of a static feature.")
    retry_after_s = serializers.IntegerField(required=False)
    reservation = AccessReservationSerializer(required=False)


class AccessBatchSerializer(serializers.Serializer):
    checks = AccessRequestSerializer(many=True)


class AccessDecisionsSerializer(serializers.Serializer):
    checks = AccessSerializer(many=True)


class ReservationEndSerializer(serializers.Serializer):
    id = serializers.CharField()
    status = serializers.ChoiceField(["settled", "released"])
    event_reservation_id = serializers.CharField(
        required=False, help_text="What the event carries as property reservation_id."
    )


class MarginPolicyChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    scope = serializers.ChoiceField(MARGIN_SCOPES, required=False, help_text="GLOBAL if left out.")
    owner = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=255,
        help_text="Code of the rate plan, or the customer's external_id; empty for GLOBAL.",
    )
    window = serializers.ChoiceField(MARGIN_WINDOWS, required=False, help_text="BILLING if left out.")
    window_days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=90, help_text="DAYS: so many, today included."
    )
    floor_1 = FloorField(required=False, help_text="L1 in percent; 20 if left out.")
    floor_2 = FloorField(required=False, help_text="L2; 10.")
    floor_3 = FloorField(required=False, help_text="L3; 0.")
    hysteresis = FloorField(required=False, help_text="Points above a floor at which its level is left; 5.")
    minimum_revenue = AmountField(required=False, help_text="A window with less is not judged; 0.")
    currency = serializers.CharField(required=False, help_text="Revenue and cost are compared in it; yours.")
    mode = serializers.ChoiceField(MARGIN_MODES, required=False, help_text="ALERT if left out.")
    throttle_percent = serializers.IntegerField(
        required=False, min_value=1, max_value=100, help_text="Of the calls that L2 refuses; 50."
    )
    downgrades = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text='What L2 serves instead of refusing: {"gpt-4o": "gpt-4o-mini"}.',
    )
    retry_after_2_s = serializers.IntegerField(
        required=False, min_value=0, max_value=_COUNT_MAX, help_text="Seconds; 60."
    )
    retry_after_3_s = serializers.IntegerField(
        required=False, min_value=0, max_value=_COUNT_MAX, help_text="Seconds; 1800."
    )
    is_active = serializers.BooleanField(required=False)


class NewMarginPolicySerializer(MarginPolicyChangeSerializer):
    code = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=200)


class MarginPolicySerializer(NewMarginPolicySerializer):
    created_at = InstantField()


class MarginPoliciesQuery(PageQuery):
    scope = serializers.ChoiceField(MARGIN_SCOPES, required=False)
    is_active = serializers.BooleanField(required=False, default=None, allow_null=True)


class NewCostRateSerializer(StrictSerializer):
    meter = serializers.CharField(help_text="Its key; a meter that counts or sums.")
    dimensions = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text='Usage with these: {"model": "gpt-4o"}; of several rates the one that names most counts.',
    )
    unit_cost = RateField(min_value=0, help_text="Of one unit as it is counted, before any conversion.")
    currency = serializers.CharField(required=False, help_text="Yours if left out.")
    starts_at = InstantField(help_text="Usage from this hour on …")
    ends_at = InstantField(required=False, allow_null=True, help_text="… until this one; null: without end.")


class CostRateSerializer(NewCostRateSerializer):
    id = serializers.UUIDField()
    meter = serializers.CharField(source="meter.key")


class CostRateEndSerializer(StrictSerializer):
    ends_at = InstantField()


class CostRatesQuery(PageQuery):
    meter = serializers.CharField(required=False, help_text="Its key.")


class ImportedCostSerializer(StrictSerializer):
    customer = serializers.CharField(source="customer.external_id")
    on = DayField(help_text="A day in the customer's zone.")
    amount = TrimmedField(max_digits=28, decimal_places=6)
    currency = serializers.CharField()
    source = serializers.CharField(max_length=100, help_text="Where the figure is from, such as openai.")
    external_key = serializers.CharField(max_length=255, help_text="The source's own name of the figure.")


class NewImportedCostSerializer(ImportedCostSerializer):
    customer = serializers.CharField(help_text="external_id")
    currency = serializers.CharField(required=False, help_text="Yours if left out.")


class CostsImportSerializer(StrictSerializer):
    costs = NewImportedCostSerializer(many=True, max_length=10_000)


class CostsImportedSerializer(serializers.Serializer):
    added = serializers.IntegerField()
    changed = serializers.IntegerField(help_text="Known figures with another amount, day or customer.")
    same = serializers.IntegerField()


class ImportedCostsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="external_id")
    source = serializers.CharField(required=False)
    first_on = DayField(required=False)
    last_on = DayField(required=False)


class MarginSerializer(serializers.Serializer):
    customer = serializers.CharField(source="customer.external_id")
    policy = serializers.CharField(source="policy.code", allow_null=True, default=None)
    level = serializers.IntegerField(help_text="0 to 3.")
    action = serializers.ChoiceField(MARGIN_ACTIONS)
    revenue = AmountField(
        help_text="Of the window so far, by billing's rating of usage and its share of fees."
    )
    cost = AmountField()
    currency = serializers.CharField()
    margin_percent = FloorField(source="percent", allow_null=True, help_text="Null without revenue.")
    window_start = InstantField(allow_null=True)
    window_end = InstantField(allow_null=True)
    since_at = InstantField(help_text="When the level was reached.")
    evaluated_at = InstantField()
    issue = serializers.CharField(help_text="Why it could not be judged; empty where it was.")


class MarginsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="external_id")
    policy = serializers.CharField(required=False, help_text="Its code.")
    level = serializers.IntegerField(required=False, min_value=0, max_value=3)


class MarginEventSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    customer = serializers.CharField(source="customer.external_id")
    policy = serializers.CharField(source="policy_code")
    kind = serializers.ChoiceField(MARGIN_EVENT_KINDS)
    level_before = serializers.IntegerField()
    level = serializers.IntegerField()
    action = serializers.ChoiceField(MARGIN_ACTIONS)
    revenue = AmountField()
    cost = AmountField()
    currency = serializers.CharField()
    margin_percent = FloorField(source="percent", allow_null=True)
    at = InstantField()


class MarginEventsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="external_id")


class DryRunRequestSerializer(StrictSerializer):
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=90, help_text="Whole local days before today; 30."
    )
    changes = MarginPolicyChangeSerializer(
        required=False, help_text="The policy is taken as if it had these."
    )


class DryDaySerializer(serializers.Serializer):
    on = serializers.DateField()
    level = serializers.IntegerField(source="standing.level")
    action = serializers.ChoiceField(MARGIN_ACTIONS, source="standing.action")
    revenue = RateField(help_text="Of the window, at the day's end.")
    cost = RateField()
    margin_percent = FloorField(source="percent", allow_null=True)
    calls = serializers.IntegerField(help_text="Events of the day.")
    withheld = serializers.IntegerField(help_text="Of them, those that would have been refused.")
    issue = serializers.CharField()


class DryCustomerSerializer(serializers.Serializer):
    customer = serializers.CharField(source="customer.external_id")
    level_max = serializers.IntegerField()
    calls = serializers.IntegerField()
    withheld = serializers.IntegerField()
    revenue_kept = RateField(help_text="Of the calls that would have been let through.")
    cost_avoided = RateField(help_text="Of those that would have been refused.")
    days = DryDaySerializer(many=True)


class DryRunSerializer(serializers.Serializer):
    policy = serializers.CharField(source="policy.code")
    currency = serializers.CharField(source="policy.currency")
    customers = DryCustomerSerializer(many=True)
    customers_left = serializers.IntegerField(
        help_text="So many more were not looked at; manage.py margin_dry_run looks at all."
    )


class UnitsField(TrimmedField):
    """Units of a metered feature: a decimal text, of as many places as the feature has."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=24, decimal_places=6, **options)


class FeatureChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, allow_blank=True)
    meter = serializers.CharField(
        required=False, allow_null=True, help_text="Its key; of a metered feature, and of no other."
    )
    unit = serializers.CharField(
        required=False, allow_blank=True, max_length=32, help_text="Label of one unit."
    )
    is_archived = serializers.BooleanField(
        required=False, help_text="An archived feature is unknown to gateways."
    )


class NewFeatureSerializer(FeatureChangeSerializer):
    code = serializers.CharField(max_length=64, help_text="What canAccess calls featureKey.")
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(FEATURE_KINDS)
    decimal_places = serializers.IntegerField(
        required=False, min_value=0, max_value=6, help_text="Of limits and usage; 0: whole units."
    )


class FeatureSerializer(NewFeatureSerializer):
    meter = serializers.CharField(source="meter.key", allow_null=True, default=None)
    created_at = InstantField()


class FeaturesQuery(PageQuery):
    kind = serializers.ChoiceField(FEATURE_KINDS, required=False)
    is_archived = serializers.BooleanField(required=False, default=None, allow_null=True)


class EntitlementChangeSerializer(StrictSerializer):
    is_granted = serializers.BooleanField(
        required=False, help_text="false: this layer takes the feature away."
    )
    limit = UnitsField(
        required=False, allow_null=True, min_value=0, help_text="Units of the window; null: no limit."
    )
    value = serializers.CharField(
        required=False, allow_blank=True, max_length=255, help_text="Of a static feature."
    )
    limit_type = serializers.ChoiceField(LIMIT_TYPES, required=False, help_text="HARD if left out.")
    window = serializers.ChoiceField(ENTITLEMENT_WINDOWS, required=False, help_text="BILLING if left out.")
    window_unit = serializers.ChoiceField(UNITS, required=False, allow_blank=True, help_text="CALENDAR only.")
    window_s = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=_COUNT_MAX,
        help_text="FIXED and SLIDING: their length.",
    )
    starts_at = InstantField(required=False, allow_null=True, help_text="null: at once.")
    ends_at = InstantField(required=False, allow_null=True, help_text="null: without end.")


class NewEntitlementSerializer(EntitlementChangeSerializer):
    feature = serializers.CharField(help_text="Its code.")
    layer = serializers.ChoiceField(ENTITLEMENT_LAYERS)
    owner = serializers.CharField(
        max_length=255,
        help_text="Code of the rate plan, offering or contract, or the customer's external_id.",
    )


class EntitlementSerializer(NewEntitlementSerializer):
    id = serializers.UUIDField()
    feature = serializers.CharField(source="feature.code")
    created_at = InstantField()


class EntitlementsQuery(PageQuery):
    feature = serializers.CharField(required=False, help_text="Its code.")
    layer = serializers.ChoiceField(ENTITLEMENT_LAYERS, required=False)
    owner = serializers.CharField(required=False)


class NewFeatureGrantSerializer(StrictSerializer):
    customer = serializers.CharField(help_text="external_id")
    feature = serializers.CharField(help_text="Code of a metered feature.")
    amount = UnitsField(min_value=0)
    priority = serializers.IntegerField(
        required=False, min_value=0, max_value=32_767, help_text="Lower burns first; 100 if left out."
    )
    effective_at = InstantField(
        required=False,
        help_text="Now if left out, and for a grant that recurs this hour's beginning. It recurs counted from here.",
    )
    expires_at = InstantField(required=False, allow_null=True, help_text="null: never.")
    recurrence = serializers.ChoiceField(
        RECURRENCES,
        required=False,
        allow_blank=True,
        help_text="Every so many of these, in the customer's zone, its balance is its amount again; empty: never.",
    )
    recurrence_count = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=RECURRENCE_COUNT_MAX,
        help_text="1 if left out; 2 with week is every other week.",
    )
    max_rollover = UnitsField(
        required=False,
        allow_null=True,
        min_value=0,
        help_text="Of what is left, at most so much stays when the feature's window turns; null: all of it.",
    )
    min_rollover = UnitsField(
        required=False, min_value=0, help_text="It has at least so much when the window turns; 0 if left out."
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=200)


class FeatureGrantSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="grant.pk")
    customer = serializers.CharField(source="grant.customer.external_id")
    feature = serializers.CharField(source="grant.feature.code")
    amount = UnitsField(source="grant.amount")
    priority = serializers.IntegerField(source="grant.priority")
    effective_at = InstantField(source="grant.effective_at")
    expires_at = InstantField(source="grant.expires_at", allow_null=True)
    recurrence = serializers.ChoiceField(RECURRENCES, source="grant.recurrence", allow_blank=True)
    recurrence_count = serializers.IntegerField(source="grant.recurrence_count")
    max_rollover = UnitsField(source="grant.max_rollover", allow_null=True)
    min_rollover = UnitsField(source="grant.min_rollover")
    reason = serializers.CharField(source="grant.reason")
    revoked_at = InstantField(source="grant.revoked_at", allow_null=True)
    created_at = InstantField(source="grant.created_at")
    balance = UnitsField(help_text="What is left now.")
    next_fill_at = InstantField(
        allow_null=True, help_text="When it begins or has its amount again; null: never."
    )


class GrantsQuery(PageQuery):
    customer = serializers.CharField(required=False, help_text="external_id")
    feature = serializers.CharField(required=False, help_text="Its code.")
    recurrence = serializers.ChoiceField(
        RECURRENCES, required=False, allow_blank=True, help_text="Empty: those that do not recur."
    )
    state = serializers.ChoiceField(GRANT_STATES, required=False)


class GrantSegmentSerializer(serializers.Serializer):
    window_start = InstantField(source="window.start")
    window_end = InstantField(source="window.end")
    taken = UnitsField(help_text="Units that the window took from this grant.")


class GrantHistorySerializer(serializers.Serializer):
    id = serializers.UUIDField(source="grant.pk")
    balance = UnitsField(help_text="What is left now.")
    history = GrantSegmentSerializer(many=True)


class EntitlementInForceSerializer(serializers.Serializer):
    feature = serializers.CharField(source="terms.feature.code")
    kind = serializers.ChoiceField(FEATURE_KINDS, source="terms.feature.kind")
    layer = serializers.ChoiceField(ENTITLEMENT_LAYERS, source="terms.in_force.layer")
    explanation = serializers.CharField(source="terms.in_force.sentence", help_text="Which rules gave it.")
    value = serializers.CharField(source="terms.in_force.value")
    limit = UnitsField(source="terms.limit", allow_null=True, help_text="Grants included; null: no limit.")
    limit_type = serializers.ChoiceField(DECIDED_LIMIT_TYPES, source="terms.in_force.limit_type")
    from_grants = UnitsField(source="terms.extra", help_text="Units of the limit that come from grants.")
    used = UnitsField(help_text="Billed usage of the window.")
    remaining = UnitsField(allow_null=True)
    window_start = InstantField(source="terms.window.period.start")
    reset_at = InstantField(source="terms.window.resets_at", allow_null=True)


class CustomerEntitlementsSerializer(serializers.Serializer):
    customer = serializers.CharField(source="terms.customer.external_id")
    is_active = serializers.BooleanField(source="terms.is_active")
    plan = serializers.CharField(source="terms.plan", help_text="Of the oldest subscription.")
    is_wallet_empty = serializers.BooleanField(
        source="terms.is_wallet_empty", help_text="Prepaid, and nothing is left."
    )
    entitlements = EntitlementInForceSerializer(many=True)


class EdgePolicySerializer(StrictSerializer):
    on_unknown = serializers.ChoiceField(
        EdgePolicy.OnUnknown.choices,
        required=False,
        help_text="Decides while a site has no records, or has heard nothing for longer than allowed.",
    )
    max_stale_s = serializers.IntegerField(
        required=False,
        min_value=10,
        max_value=_COUNT_MAX,
        help_text="Seconds for which a site that hears nothing goes on by what it knows.",
    )
