"""The shapes of metering's requests and answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aforo.http.serializers import ExactField, InstantField, PageQuery, StrictSerializer
from aforo.kernel.errors import Problem

from .calculator import SIZES
from .file_reading import FORMS
from .meters import Operator
from .models import (
    OPEN,
    Correction,
    CorrectionKind,
    DeadLetterRunAction,
    DeadLetterRunStatus,
    DeadLetterStatus,
    MeterRow,
    UploadStatus,
    WebhookScheme,
    WebhookSource,
)
from .selectors.event_log import EVENTS, STATUSES
from .selectors.events import StoredEvent
from .services.corrections import correction_periods
from .strict_json import check_shape, read_json

VERDICT_STATUSES = ("accepted", "duplicate", "rejected", "held")
STORED_STATUSES = tuple(EVENTS)
OPEN_STATUSES = tuple(one.value for one in OPEN)
EVENT_STATUSES = ("accepted", "stored", "refused", "held")


@extend_schema_field({"description": "Any JSON value."})
class AnyField(serializers.Field):
    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "type": "string",
        "description": "An instant, or a day in the customer's time zone.",
        "example": "2026-03-01",
    }
)
class InstantOrDayField(InstantField):
    default_error_messages = {
        "invalid": "Write a day such as 2026-03-01, or an instant such as 2026-03-01T00:00:00Z."
    }

    def to_internal_value(self, data: Any) -> date | datetime:
        try:
            day = date.fromisoformat(data)
        except (TypeError, ValueError):
            return super().to_internal_value(data)
        if not 1900 <= day.year <= 2999:
            self.fail("invalid")
        return day


class SpanQuery(serializers.Serializer):
    start = InstantField(required=False, help_text="From this instant on.")
    end = InstantField(required=False, help_text="Before this instant.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "start" in attrs and "end" in attrs and attrs["start"] >= attrs["end"]:
            raise serializers.ValidationError({"end": ["The end lies after the start."]})
        return attrs


class EventSerializer(serializers.Serializer):
    """A usage event. Every field has aliases (docs/metering/events.md); unknown fields become properties."""

    event = serializers.CharField(help_text="The metric, such as api.call; also `metric`, `metricKey` …")
    customer_id = serializers.CharField(help_text="Your own identifier of the customer; also `customerId`.")
    quantity = serializers.CharField(
        required=False, help_text="A number or its text, exact; 1 if left out. Also `value`."
    )
    timestamp = serializers.DateTimeField(
        required=False, help_text="RFC 3339 with a zone, or milliseconds since 1970; now if left out."
    )
    idempotency_key = serializers.CharField(
        required=False,
        help_text="Unique for ever; generated and returned if left out. Also `id`, `event_id` …",
    )
    source = serializers.CharField(required=False)
    tenant_id = serializers.CharField(required=False, help_text="If sent, the key's own tenant.")
    properties = serializers.DictField(required=False, help_text="Also `metadata`, `data`.")


class MeterCallSerializer(serializers.Serializer):
    """What was used, as an SDK's `meter` sends it. `tenantId` is your own tenant: the customer."""

    tenantId = serializers.CharField(help_text="The customer; also `customerId`.")
    metricKey = serializers.CharField()
    quantity = serializers.CharField(required=False)
    properties = serializers.DictField(required=False)
    reservationId = serializers.CharField(
        required=False,
        help_text="Of `POST /v1/canAccess` with `reserve`: the units it took are these, and count once.",
    )


class MeasurementSerializer(serializers.Serializer):
    metricName = serializers.CharField()
    quantity = serializers.CharField(required=False)
    dimensionKey = serializers.CharField(required=False)


class CompoundSerializer(serializers.Serializer):
    """Several measurements of one request, each an event with the key `correlationId:metricName[:dimensionKey]`."""

    correlationId = serializers.CharField()
    customerId = serializers.CharField()
    occurredAt = serializers.DateTimeField(required=False)
    metadata = serializers.DictField(required=False)
    measurements = MeasurementSerializer(many=True)


class UploadSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(UploadStatus.choices)
    file_name = serializers.CharField()
    format = serializers.ChoiceField(sorted(FORMS), source="form")
    bytes = serializers.IntegerField()
    bytes_read = serializers.IntegerField(source="offset")
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(help_text="Read so far; each of them is counted below.")
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Known already when they were read; counted once.")
    rejected = serializers.IntegerField(help_text="Kept as dead letters, with their lines.")
    held = serializers.IntegerField(help_text="Kept until what they name is known.")
    error = serializers.CharField(help_text="Why reading ended early; the rest is one dead letter.")
    created_at = InstantField(help_text="The time of receipt of its events.")
    finished_at = InstantField(allow_null=True)


class UploadsQuery(PageQuery):
    status = serializers.ChoiceField(UploadStatus.choices, required=False)


class FirehoseRecordSerializer(serializers.Serializer):
    data = serializers.CharField(help_text="Base64 of one event, a list of them, or one a line.")


class FirehoseSerializer(serializers.Serializer):
    requestId = serializers.CharField()
    timestamp = serializers.IntegerField(help_text="Milliseconds since 1970.")
    records = FirehoseRecordSerializer(many=True)


class FirehoseAnswerSerializer(serializers.Serializer):
    requestId = serializers.CharField(help_text="As in the header X-Amz-Firehose-Request-Id.")
    timestamp = serializers.IntegerField(help_text="Milliseconds since 1970.")


class FirehoseRefusalSerializer(FirehoseAnswerSerializer):
    errorMessage = serializers.CharField(help_text="A code of docs/problems.md, and a sentence.")


class PubSubMessageSerializer(serializers.Serializer):
    data = serializers.CharField(help_text="Base64 of one event, a list of them, or one a line.")
    messageId = serializers.CharField()
    publishTime = serializers.CharField(required=False)
    attributes = serializers.DictField(required=False)


class PubSubSerializer(serializers.Serializer):
    message = PubSubMessageSerializer()
    subscription = serializers.CharField(required=False)


class WebhookSourceChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=100, help_text="The system that posts.")
    mapping = serializers.DictField(
        child=serializers.CharField(max_length=255),
        required=False,
        help_text="Our field to a path in the payload, or to `=text`; docs/metering/doors.md. Empty: our own names.",
    )
    tolerance_s = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=24 * 3600,
        help_text="Seconds that a delivery's timestamp may lie from now; 300.",
    )
    rate_limit_per_s = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=1_000_000, help_text="Null: no limit."
    )


class NewWebhookSourceSerializer(WebhookSourceChangeSerializer):
    name = serializers.CharField(max_length=100, help_text="The system that posts.")
    scheme = serializers.ChoiceField(
        WebhookScheme.choices,
        required=False,
        help_text="standard: headers webhook-id, -timestamp, -signature; plain: X-Signature over the body.",
    )
    secret = serializers.CharField(
        required=False, help_text="Where the other system chose it; one is made if left out."
    )


class WebhookRotationSerializer(StrictSerializer):
    overlap_s = serializers.IntegerField(
        required=False,
        default=24 * 3600,
        min_value=0,
        max_value=30 * 24 * 3600,
        help_text="Seconds for which the secret before still verifies.",
    )
    secret = serializers.CharField(required=False, help_text="As when the source is made.")


class WebhookSourceSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    address = serializers.SerializerMethodField(help_text="Where the other system posts to.")
    name = serializers.CharField()
    scheme = serializers.ChoiceField(WebhookScheme.choices)
    mapping = serializers.DictField(child=serializers.CharField())
    tolerance_s = serializers.IntegerField()
    rate_limit_per_s = serializers.IntegerField(allow_null=True)
    created_at = InstantField()
    last_used_at = InstantField(allow_null=True)
    secret_before_until = InstantField(
        allow_null=True, help_text="Until then the secret before the last rotation verifies, too."
    )
    revoked_at = InstantField(allow_null=True)

    def get_address(self, source: WebhookSource) -> str:
        return f"/v1/ingest/webhook/{source.public_id}"


class WebhookSourceMadeSerializer(WebhookSourceSerializer):
    secret = serializers.CharField(
        allow_null=True, help_text="Shown this once; null where the answer is given again."
    )


class VerdictSerializer(serializers.Serializer):
    index = serializers.IntegerField(help_text="The event's place in the body, from 0.")
    idempotency_key = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(VERDICT_STATUSES)
    late = serializers.BooleanField(required=False, help_text="Older than 24 hours on receipt.")
    code = serializers.CharField(
        required=False, help_text="Why it was rejected or held; docs/problems.md lists the codes."
    )
    detail = serializers.CharField(required=False)
    facts = serializers.DictField(required=False, help_text="The numbers and fields behind the detail.")


class IngestAnswerSerializer(serializers.Serializer):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Known already when the answer was given; counted once.")
    rejected = serializers.IntegerField(help_text="Kept as dead letters.")
    failed = serializers.IntegerField(help_text="The same as rejected.")
    held = serializers.IntegerField(
        required=False,
        help_text="Kept as dead letters until what they name is known; left out where there are none.",
    )
    events = VerdictSerializer(many=True, help_text="A single event, and whatever was not plainly accepted.")


class EventContextSerializer(serializers.Serializer):
    subscription_id = serializers.UUIDField(allow_null=True)
    plan_version_id = serializers.UUIDField(allow_null=True)
    product = serializers.CharField()


class StoredEventSerializer(serializers.Serializer):
    idempotency_key = serializers.CharField()
    customer_id = serializers.CharField()
    metric = serializers.CharField()
    quantity = ExactField()
    timestamp = InstantField()
    received_at = InstantField()
    source = serializers.CharField()
    is_late = serializers.BooleanField(help_text="Older than 24 hours on receipt.")
    properties = serializers.SerializerMethodField()
    context = EventContextSerializer(
        source="*", help_text="What the customer had bought at the event's time."
    )

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_properties(self, event: StoredEvent) -> Any:
        return json_or_text(event.properties.encode())


class EventRefusalSerializer(serializers.Serializer):
    dead_letter_id = serializers.UUIDField(source="pk")
    code = serializers.CharField()
    detail = serializers.CharField()
    status = serializers.ChoiceField(DeadLetterStatus.choices)
    received_at = InstantField()


class StepSerializer(serializers.Serializer):
    step = serializers.ChoiceField(["validate", "deduplicate", "enrich", "route", "aggregate", "correct"])
    outcome = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_field(
    {
        "type": "object",
        "nullable": True,
        "additionalProperties": {},
        "example": {
            "customer_id": "cust_abc",
            "metric": "api.call",
            "properties": {},
            "quantity": "900",
            "timestamp": "2026-03-15T12:00:00Z",
        },
    }
)
class ContentField(serializers.Field):
    """What an event says, from its JSON text; null where nothing counts any more."""

    def to_representation(self, value: str) -> Any:
        return json_or_text(value.encode()) if value else None


class CorrectionSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(CorrectionKind.choices)
    idempotency_key = serializers.CharField(help_text="The event's.")
    before = ContentField(help_text="What counted until then.")
    after = ContentField(help_text="What counts since; null for VOID.")
    reason = serializers.CharField()
    actor = serializers.CharField(help_text="The API key's id, or the user.")
    created_at = InstantField()


class TouchedPeriodSerializer(serializers.Serializer):
    subscription = serializers.CharField()
    start = InstantField(source="period.start")
    end = InstantField(source="period.end")
    invoice = serializers.CharField(
        allow_null=True,
        help_text="Null while the period is open. Of an invoiced one, the difference is on the subscription's next "
        "invoice.",
    )


class CorrectionWithPeriodsSerializer(CorrectionSerializer):
    periods = serializers.SerializerMethodField(help_text="The billing periods whose usage it changed.")

    @extend_schema_field(TouchedPeriodSerializer(many=True))
    def get_periods(self, correction: Correction) -> Any:
        return TouchedPeriodSerializer(correction_periods(correction), many=True).data


class VoidSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=1000)


class AmendSerializer(VoidSerializer):
    """What is given replaces what the event says; the rest stays."""

    customer_id = AnyField(required=False)
    metric = AnyField(required=False)
    quantity = AnyField(required=False, help_text="A number or its text, exact.")
    timestamp = AnyField(required=False, help_text="RFC 3339 with a zone, or milliseconds since 1970.")
    properties = AnyField(required=False, help_text="All of them; what is left out is gone.")


class CorrectionsQuery(SpanQuery, PageQuery):
    kind = serializers.ChoiceField(CorrectionKind.choices, required=False)
    idempotency_key = serializers.CharField(required=False, help_text="The event's.")
    customer_id = serializers.CharField(required=False, help_text="Of the event before or after.")
    metric = serializers.CharField(required=False, help_text="Of the event before or after.")


class EventStateSerializer(serializers.Serializer):
    """What became of a key. refusals: dead letters under the same key."""

    idempotency_key = serializers.CharField()
    status = serializers.ChoiceField(EVENT_STATUSES)
    event = StoredEventSerializer(allow_null=True, help_text="As it was accepted; null unless stored.")
    counting = StoredEventSerializer(
        allow_null=True, help_text="As it counts today: corrected, or null where it was voided."
    )
    steps = StepSerializer(many=True)
    corrections = CorrectionSerializer(many=True, help_text="The latest first.")
    refusals = EventRefusalSerializer(many=True)


class EventsPageSerializer(serializers.Serializer):
    data = StoredEventSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The page after this one.")


class EventsQuery(SpanQuery):
    customer_id = serializers.CharField(required=False)
    metric = serializers.CharField(required=False)
    source = serializers.CharField(required=False)
    status = serializers.ChoiceField(STORED_STATUSES, required=False, help_text="accepted: not late.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")


class EventLogQuery(EventsQuery):
    status = serializers.ChoiceField(STATUSES, required=False)
    key = serializers.CharField(required=False, help_text="The whole idempotency key.")


class EventLogTailQuery(serializers.Serializer):
    customer_id = serializers.CharField(required=False)
    metric = serializers.CharField(required=False)
    source = serializers.CharField(required=False)
    status = serializers.ChoiceField(STATUSES, required=False)
    cursor = serializers.CharField(required=False, max_length=4096, help_text="From the answer before.")


class LogRowSerializer(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    idempotency_key = serializers.CharField(help_text="Empty where the event had none that could be read.")
    customer_id = serializers.CharField()
    metric = serializers.CharField()
    source = serializers.CharField()
    quantity = ExactField(allow_null=True, help_text="Null of what is refused or held.")
    timestamp = InstantField(allow_null=True, help_text="Null of what is refused or held.")
    received_at = InstantField()
    code = serializers.CharField(help_text="Why it is refused or held; empty of an event.")
    dead_letter_id = serializers.UUIDField(allow_null=True)


class EventLogPageSerializer(serializers.Serializer):
    data = LogRowSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The page after this one.")


class EventLogFollowedSerializer(serializers.Serializer):
    data = LogRowSerializer(many=True)
    cursor = serializers.CharField(help_text="Of the next look.")


class FilterSerializer(StrictSerializer):
    field = serializers.CharField(help_text="A property, or quantity.")
    operator = serializers.ChoiceField([operator.value for operator in Operator])
    value = AnyField(help_text="Text or a whole number; a list of them for IN and NOT_IN.")


class ConversionSerializer(StrictSerializer):
    """Seconds to hours begun: divide by 3600, rounded up to 0 places."""

    operation = serializers.ChoiceField(["multiply", "divide"])
    factor = serializers.CharField(max_length=60, help_text="A decimal number, not zero.")
    rounding = serializers.ChoiceField(
        ["up", "down", "half_up", "half_even"], required=False, allow_null=True, help_text="null: none."
    )
    places = serializers.IntegerField(
        required=False, help_text="Decimal places to round to; negative: tens, hundreds."
    )


class MeterChangeSerializer(StrictSerializer):
    name = serializers.CharField(required=False, allow_blank=True, max_length=200)
    event_name = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=128,
        help_text="The metric it listens to; empty: its own key.",
    )
    aggregation = serializers.ChoiceField(MeterRow.Aggregation.choices, required=False)
    value_property = serializers.CharField(
        required=False, max_length=128, help_text="quantity, or the property that carries the value."
    )
    percentile = serializers.DecimalField(
        max_digits=7,
        decimal_places=4,
        required=False,
        allow_null=True,
        help_text="For PERCENTILE: above 0, at most 100; 95 is p95.",
    )
    filters = FilterSerializer(many=True, required=False, help_text="All of them must hold.")
    group_by = serializers.ListField(
        child=serializers.CharField(max_length=128),
        required=False,
        help_text="Up to 8 properties kept apart.",
    )
    unit = serializers.CharField(required=False, allow_blank=True, max_length=32)
    conversion = ConversionSerializer(
        required=False, allow_null=True, help_text="From what is counted to what is shown and billed."
    )
    allows_negative = serializers.BooleanField(required=False)


class NewMeterSerializer(MeterChangeSerializer):
    key = serializers.CharField(max_length=128)


class MeterSerializer(NewMeterSerializer):
    frozen_at = InstantField(
        allow_null=True,
        help_text="Since then aggregation, value_property, percentile and conversion cannot change: a price uses them.",
    )
    created_at = InstantField()


class UsageQuery(serializers.Serializer):
    customer_id = serializers.CharField()
    metric = serializers.CharField(required=False, help_text="The meter's key.")
    meter = serializers.CharField(required=False, help_text="The same as metric.")
    start = InstantOrDayField(required=False, help_text="The first of the current month if left out.")
    end = InstantOrDayField(required=False, help_text="Not included; now if left out.")
    window = serializers.ChoiceField(SIZES, required=False)
    corrections = serializers.ChoiceField(
        ["after", "before"],
        default="after",
        help_text="before: as if no event had ever been amended or voided.",
    )
    group_by = serializers.CharField(required=False, help_text="Dimensions of the meter, comma-separated.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len({attrs[name] for name in ("metric", "meter") if name in attrs}) != 1:
            raise serializers.ValidationError({"metric": ["Name one meter."]})
        return attrs


class UsageWindowSerializer(serializers.Serializer):
    start = InstantField()
    end = InstantField()
    quantity = ExactField()


class UsageGroupSerializer(serializers.Serializer):
    by = serializers.DictField(child=serializers.CharField())
    quantity = ExactField()
    windows = UsageWindowSerializer(many=True, required=False)


class UsageSerializer(serializers.Serializer):
    customer_id = serializers.CharField()
    metric = serializers.CharField()
    aggregation = serializers.ChoiceField(MeterRow.Aggregation.choices)
    unit = serializers.CharField()
    timezone = serializers.CharField(help_text="The customer's; it cuts days and months.")
    start = InstantField()
    end = InstantField()
    quantity = ExactField(help_text="Of the whole period; not there with group_by.")
    windows = UsageWindowSerializer(many=True, required=False)
    groups = UsageGroupSerializer(many=True, required=False)


class ConservationQuery(serializers.Serializer):
    start = serializers.DateField(required=False, help_text="First UTC day of receipt.")
    end = serializers.DateField(required=False, help_text="Last UTC day of receipt.")


class ConservationSerializer(serializers.Serializer):
    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    dead_letters = serializers.IntegerField()
    late = serializers.IntegerField(help_text="Accepted ones that were older than 24 hours on receipt.")
    waiting = serializers.IntegerField(
        allow_null=True,
        help_text="Events in the log that are not received here yet; null where the log does not say.",
    )
    is_conserved = serializers.BooleanField(help_text="received = accepted + duplicates + dead letters.")


class DeadLetterSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(DeadLetterStatus.choices)
    code = serializers.CharField()
    detail = serializers.CharField()
    facts = serializers.DictField()
    idempotency_key = serializers.CharField()
    customer_id = serializers.CharField(source="customer", help_text="As sent; may be empty.")
    metric = serializers.CharField(help_text="As sent; may be empty.")
    source = serializers.CharField()
    api_key_id = serializers.UUIDField(allow_null=True)
    received_at = InstantField()
    attempts = serializers.IntegerField()
    result = serializers.DictField(help_text="Where the last replay ended.")
    actor = serializers.CharField(help_text="Who changed it last.")
    reason = serializers.CharField(help_text="Why it was discarded.")
    changed_at = InstantField()
    payload_length = serializers.IntegerField(help_text="Bytes as received.")
    payload_sha256 = serializers.CharField()


class DeadLetterWithPayloadSerializer(DeadLetterSerializer):
    payload = serializers.SerializerMethodField(help_text="The event as received; text where it is no JSON.")

    @extend_schema_field(OpenApiTypes.ANY)
    def get_payload(self, letter: Any) -> Any:
        return json_or_text(bytes(letter.payload))


class DeadLettersQuery(SpanQuery):
    status = serializers.ChoiceField(DeadLetterStatus.choices, required=False)
    code = serializers.CharField(required=False)
    customer_id = serializers.CharField(required=False)
    metric = serializers.CharField(required=False)
    source = serializers.CharField(required=False)


class DeadLetterGrowthSerializer(serializers.Serializer):
    is_alarm = serializers.BooleanField(help_text="Both thresholds are reached.")
    letters = serializers.IntegerField(help_text="Received in the last hour, and waiting still.")
    share_percent = serializers.DecimalField(
        max_digits=5,
        decimal_places=2,
        allow_null=True,
        help_text="Of what was received in the last hour; null where it is below the threshold, or not counted.",
    )
    letters_min = serializers.IntegerField()
    share_percent_min = serializers.DecimalField(max_digits=5, decimal_places=2)


class NewDeadLetterRunSerializer(StrictSerializer, SpanQuery):
    """Which letters, and what to do with them."""

    action = serializers.ChoiceField(DeadLetterRunAction.choices)
    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_empty=False, max_length=10_000
    )
    code = serializers.CharField(required=False, max_length=64)
    status = serializers.ChoiceField(OPEN_STATUSES, required=False)
    customer_id = serializers.CharField(required=False, max_length=255, help_text="As sent.")
    metric = serializers.CharField(required=False, max_length=255, help_text="As sent.")
    source = serializers.CharField(required=False, max_length=255)
    all = serializers.BooleanField(required=False, help_text="Every one that waits.")
    metric_to = serializers.CharField(
        required=False, max_length=255, help_text="The metric that their events get in place of their own."
    )
    customer_to = serializers.CharField(
        required=False, max_length=255, help_text="The customer that their events get in place of their own."
    )
    reason = serializers.CharField(required=False, max_length=1000, help_text="Of a discard.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        is_all = attrs.pop("all", False)
        if not is_all and attrs.keys() <= {"action", "metric_to", "customer_to", "reason"}:
            raise serializers.ValidationError({"all": ["Give ids or a filter, or all: true."]})
        if attrs["action"] == DeadLetterRunAction.DISCARD and not attrs.get("reason"):
            raise serializers.ValidationError({"reason": ["Say why they are discarded."]})
        return attrs


class DeadLetterRunSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    action = serializers.ChoiceField(DeadLetterRunAction.choices)
    status = serializers.ChoiceField(DeadLetterRunStatus.choices)
    filters = serializers.DictField()
    metric_to = serializers.CharField()
    customer_to = serializers.CharField()
    reason = serializers.CharField()
    actor = serializers.CharField()
    total = serializers.IntegerField(help_text="Letters that fitted when it was made.")
    done = serializers.IntegerField()
    outcomes = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="accepted, duplicate, copy, conflict, refused, discarded; left: no single whole events.",
    )
    created_at = InstantField()
    finished_at = InstantField(allow_null=True)


class DeadLetterRunsQuery(PageQuery):
    status = serializers.ChoiceField(DeadLetterRunStatus.choices, required=False)


class TouchedInvoiceSerializer(serializers.Serializer):
    customer_id = serializers.CharField()
    subscription = serializers.CharField()
    start = InstantField(source="period.start")
    end = InstantField(source="period.end")
    invoice = serializers.CharField(allow_null=True, help_text="Its number; null while the period is open.")
    events = serializers.IntegerField(help_text="That would count in it.")


class DeadLetterPreviewSerializer(serializers.Serializer):
    count = serializers.IntegerField(help_text="Letters that fit.")
    looked_at = serializers.IntegerField(help_text="The oldest of them, which the rest is about.")
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    refused = serializers.DictField(
        child=serializers.IntegerField(), help_text="Would be refused again, by reason."
    )
    left = serializers.IntegerField(help_text="No single whole events; they stay as they are.")
    touched = TouchedInvoiceSerializer(many=True)


class MeteringProfileSerializer(StrictSerializer):
    holds_unknown_metrics = serializers.BooleanField(
        required=False, help_text="Events of a metric no meter listens to are answered 202 and held."
    )
    holds_unknown_customers = serializers.BooleanField(
        required=False, help_text="Events of a customer you have not made are answered 202 and held."
    )
    alert_letters_min = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Fewer new dead letters an hour are no alarm.",
    )
    alert_share_percent = serializers.DecimalField(
        required=False,
        max_digits=5,
        decimal_places=2,
        min_value=0,
        max_value=100,
        help_text="A smaller share of the hour's events is no alarm.",
    )


class ReplaySerializer(StrictSerializer):
    payload = AnyField(required=False, help_text="The corrected event; the one received if left out.")


class DiscardSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=1000)


def json_or_text(content: bytes) -> Any:
    """JSON as it stands, every digit kept; text where it is none."""
    try:
        check_shape(content)
        read_json(content)
    except Problem:
        return content.decode(errors="replace")
    return orjson.Fragment(content)
