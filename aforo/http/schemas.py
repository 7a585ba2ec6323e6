"""The shapes of customers and API keys."""

from __future__ import annotations

from rest_framework import serializers

from aforo.tenancy.models import SCOPES, ApiKey

from .serializers import InstantField, PageQuery, StrictSerializer

# Named for the description of the API (ENUM_NAME_OVERRIDES).
KEY_SCOPES = list(SCOPES)
VAT_STATUSES = ["confirmed", "format_checked", "unchecked"]
KEY_STATES = ["ACTIVE", "TEST", "EXPIRED", "REVOKED"]
OVERLAP_S_MAX = 30 * 24 * 3600


class CustomerChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200, help_text="The external_id if left out.")
    email = serializers.EmailField(required=False, allow_blank=True)
    currency = serializers.CharField(
        required=False, help_text="ISO 4217; the tenant's if left out. Stays once there is a subscription."
    )
    timezone = serializers.CharField(
        required=False,
        help_text="IANA name; the tenant's if left out. Periods are cut at its midnight; stays once there is a "
        "subscription.",
    )
    country = serializers.CharField(
        required=False, allow_blank=True, max_length=2, help_text="ISO 3166 code; decides on EU VAT."
    )
    tax_jurisdiction = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=32,
        help_text="Key of the tax table, such as US-NY; empty: the country's.",
    )
    vat_number = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=32,
        help_text="Of a business in the country; its format and check digits are checked for the EU, GB, CH and NO.",
    )
    vat_confirmed_on = serializers.DateField(
        required=False,
        allow_null=True,
        help_text="Day on which a tax authority (VIES) confirmed the number; another number needs another.",
    )
    is_tax_exempt = serializers.BooleanField(required=False)
    parent = serializers.CharField(
        required=False, allow_null=True, help_text="external_id of the customer that pays, or null."
    )


class NewCustomerSerializer(CustomerChangeSerializer):
    external_id = serializers.CharField(max_length=255, help_text="Your own identifier; events carry it.")


class CustomerSerializer(serializers.Serializer):
    external_id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    currency = serializers.CharField()
    timezone = serializers.CharField()
    country = serializers.CharField()
    tax_jurisdiction = serializers.CharField()
    vat_number = serializers.CharField()
    vat_status = serializers.ChoiceField(
        VAT_STATUSES,
        allow_null=True,
        help_text="How far the VAT number is known to be right; null without one.",
    )
    vat_confirmed_on = serializers.DateField(allow_null=True)
    is_tax_exempt = serializers.BooleanField()
    parent = serializers.CharField(source="parent.external_id", allow_null=True, default=None)
    created_at = InstantField()


class CustomersQuery(PageQuery):
    parent = serializers.CharField(required=False, help_text="external_id of the parent.")
    currency = serializers.CharField(required=False)
    country = serializers.CharField(required=False)
    tax_jurisdiction = serializers.CharField(required=False)


class NewApiKeySerializer(StrictSerializer):
    name = serializers.CharField(max_length=100, help_text="Where it is used.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(KEY_SCOPES),
        required=False,
        allow_empty=False,
        help_text="; ".join(f"{scope}: {what}" for scope, what in SCOPES.items())
        + ". Those of your key if left out.",
    )
    rate_limit_per_s = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=1_000_000,
        help_text="Requests a second; null: no limit.",
    )


class RotationSerializer(StrictSerializer):
    overlap_s = serializers.IntegerField(
        required=False,
        default=24 * 3600,
        min_value=0,
        max_value=OVERLAP_S_MAX,
        help_text="Seconds for which the old key still works.",
    )


class ApiKeySerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    masked = serializers.CharField(help_text="Enough to recognise the key by.")
    state = serializers.ChoiceField(KEY_STATES, help_text="TEST: works, in the test environment.")
    scopes = serializers.ListField(child=serializers.ChoiceField(KEY_SCOPES))
    rate_limit_per_s = serializers.IntegerField(allow_null=True)
    created_at = InstantField()
    last_used_at = InstantField(allow_null=True)
    expires_at = InstantField(allow_null=True, help_text="End of a rotation's overlap.")
    revoked_at = InstantField(allow_null=True)


class ApiKeyMadeSerializer(ApiKeySerializer):
    secret = serializers.CharField(
        allow_null=True, help_text="The whole key, shown this once; null where the answer is given again."
    )


class ApiKeysQuery(PageQuery):
    state = serializers.ChoiceField(KEY_STATES, required=False)


class AuditEntrySerializer(serializers.Serializer):
    sequence = serializers.IntegerField(help_text="Of your chain: 1, 2, 3 …")
    at = InstantField()
    actor = serializers.CharField(help_text="A person, a key's id, or the task that did it.")
    action = serializers.CharField()
    subject = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    previous_hash = serializers.CharField()
    hash = serializers.CharField(help_text="SHA-256 over the entry and the hash before.")


class AuditQuery(PageQuery):
    action = serializers.CharField(required=False, help_text="Such as margin_policy.edited.")
    actor = serializers.CharField(required=False)
    subject = serializers.CharField(required=False)
    since = InstantField(required=False)
    until = InstantField(required=False)


def api_key_made(key: ApiKey, secret: str) -> dict[str, object]:
    """The one answer that carries the secret."""
    return {**ApiKeySerializer(key).data, "secret": secret}
