"""Shapes of entitlements' API, for its documentation and for what is read from requests."""

from __future__ import annotations

from rest_framework import serializers

from .decision import Reason


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
    quota = serializers.IntegerField(allow_null=True, help_text="Limit of the window; null for none.")
    remaining = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(help_text="Billed usage and open reservations.")
    reason = serializers.ChoiceField([reason.value for reason in Reason])
    feature = serializers.CharField()
    plan = serializers.CharField(allow_null=True)
    limit_type = serializers.ChoiceField(["hard", "soft"], allow_null=True)
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
