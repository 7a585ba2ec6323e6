"""What the description of the API says about sending events: parameters, refusals, examples."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from aforo.http.documentation import problems

from ..decoding import CLOUD_EVENT, CLOUD_EVENTS, NDJSON
from ..schemas import EventSerializer, IngestAnswerSerializer

_HEADER = OpenApiParameter.HEADER

INGEST_PARAMETERS = [
    OpenApiParameter(
        "strict", bool, description="Refuse defaults and list all missing fields. Always on for gateways."
    ),
    OpenApiParameter("verbose", bool, description="A row for every event."),
    OpenApiParameter(
        "Idempotency-Key", str, _HEADER, description="The key; event i of a batch gets `<key>:<i>`."
    ),
    OpenApiParameter("X-Aforo-Source", str, _HEADER, description="kong, sdk-python …"),
    OpenApiParameter("X-Tenant-Id", str, _HEADER, description="If sent, the key's own tenant."),
    OpenApiParameter("Content-Encoding", str, _HEADER, enum=["gzip", "zstd", "lz4", "identity"]),
    OpenApiParameter(
        "Aforo-Durability",
        str,
        _HEADER,
        response=[202],
        description="Where the events lie on disk.",
        enum=["log", "log-everysec", "store", "spool"],
    ),
]

# Of the body as a whole. COLLECTED: by collectors and webhooks, which are not told about single events.
_OF_BODY = (
    "encoding_broken",
    "body_unreadable",
    "body_too_deep",
    "batch_empty",
    "body_too_large",
    "batch_too_large",
    "media_type_unsupported",
    "encoding_unsupported",
    "storage_unavailable",
)
COLLECTED_PROBLEMS = problems(*_OF_BODY)
INGEST_PROBLEMS = problems(
    *_OF_BODY,
    "idempotency_conflict",
    fields_missing="The fields customer_id, metric are missing.",
    field_invalid="quantity is no decimal number.",
    timestamp_in_future="2026-03-15T12:06:00Z is 360 seconds after receipt; up to 5 minutes are accepted.",
    timestamp_too_old="2025-11-01T00:00:00Z is 134 days before receipt; up to 90 are accepted.",
    metric_unknown="No meter listens to 'api.cal'.",
    customer_unknown="There is no customer 'cust_abd'.",
    quantity_negative="-1 is below zero, which api.call does not allow.",
)

_QUICK_START = {"event": "api.call", "endpoint": "/v1/search", "customer_id": "cust_abc"}
_ALL_FIELDS = {
    "idempotency_key": "req_7f2a",
    "tenant_id": "acme_corp",
    "customer_id": "cust_abc",
    "metric": "llm.tokens",
    "quantity": "1280",
    "timestamp": "2026-03-15T11:59:00Z",
    "source": "sdk-python",
    "properties": {"model": "gpt-4o"},
}

ACCEPTED_EXAMPLE = OpenApiExample(
    "one event",
    value={
        "accepted": 1,
        "duplicates": 0,
        "rejected": 0,
        "failed": 0,
        "events": [{"index": 0, "idempotency_key": "gen_3f0c9b5d7a1e2468", "status": "accepted"}],
    },
    response_only=True,
    status_codes=["202"],
)
MIXED_EXAMPLE = OpenApiExample(
    "a batch of 100",
    value={
        "accepted": 98,
        "duplicates": 1,
        "rejected": 1,
        "failed": 1,
        "events": [
            {"index": 3, "idempotency_key": "req_7f2a", "status": "duplicate"},
            {
                "index": 7,
                "idempotency_key": "req_7f2e",
                "status": "rejected",
                "code": "metric_unknown",
                "detail": "No meter listens to 'api.cal'.",
                "facts": {"metric": "api.cal"},
            },
        ],
    },
    response_only=True,
    status_codes=["202"],
)


def request_example(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True, media_type="application/json")


INGEST_SCHEMA = extend_schema(
    tags=["events"],
    summary="Send events",
    description=(
        'One event, a list of up to 10,000, `{"events": […]}`, NDJSON or CloudEvents 1.0; up to 10 MiB decompressed. '
        "202 means that they are on disk. A batch is answered 202 with a verdict on each event that was not plainly "
        "accepted; a single event that is refused is answered with its problem. Refused events are kept as dead letters. "
        "What names an unknown metric or customer is `held` where the tenant wants it (metering profile), single events, "
        "too."
    ),
    parameters=INGEST_PARAMETERS,
    request={
        "application/json": EventSerializer,
        NDJSON: OpenApiTypes.STR,
        CLOUD_EVENT: OpenApiTypes.OBJECT,
        CLOUD_EVENTS: OpenApiTypes.OBJECT,
    },
    responses={202: IngestAnswerSerializer, **INGEST_PROBLEMS},
    examples=[
        request_example("quick start", _QUICK_START),
        request_example("all fields", _ALL_FIELDS),
        request_example("batch", {"events": [_QUICK_START, _ALL_FIELDS]}),
        ACCEPTED_EXAMPLE,
        MIXED_EXAMPLE,
    ],
)
