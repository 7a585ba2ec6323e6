"""Events over HTTP: sent at one of three doors, looked up by their key, listed."""

from __future__ import annotations

import base64
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_view
from redis import RedisError
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from aforo.http.bodies import body_read
from aforo.http.documentation import problems
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant

from ..decoding import BODY_BYTES_MAX
from ..event import Door
from ..intake.timestamp import instant_of
from ..schemas import (
    CompoundSerializer,
    EventsPageSerializer,
    EventsQuery,
    EventStateSerializer,
    IngestAnswerSerializer,
    MeterCallSerializer,
    StoredEventSerializer,
)
from ..selectors.event_steps import refusals_for, steps_of, steps_of_refusal
from ..selectors.events import EventPlace, StoredEvent, event_for, events_for
from ..services.events import Envelope, IngestAnswer, Verdict, events_ingest
from ..waiting import TooMuchWaits, is_waiting
from .documentation import (
    ACCEPTED_EXAMPLE,
    INGEST_PARAMETERS,
    INGEST_PROBLEMS,
    INGEST_SCHEMA,
    MIXED_EXAMPLE,
    request_example,
)

_TRUE = frozenset({"true", "1", "yes", "on", ""})


def ingested(request: Request, door: Door) -> Response:
    """The request's events in the log, and the answer to their sender."""
    body = body_read(request._request, bytes_max=BODY_BYTES_MAX)
    answer = events_ingest(
        tenant=request.user.tenant,
        api_key_id=request.user.key_id,
        body=body,
        envelope=_envelope(request, door),
    )
    return _response(answer, is_verbose=_flag(request, "verbose"))


def _envelope(request: Request, door: Door) -> Envelope:
    headers = request.headers
    tenant_header = headers.get("X-Tenant-Id")
    return Envelope(
        door=door,
        is_strict=_flag(request, "strict"),
        content_type=headers.get("Content-Type") or None,
        content_encoding=headers.get("Content-Encoding"),
        source=headers.get("X-Aforo-Source"),
        idempotency_key=_utf8(headers.get("Idempotency-Key")),
        tenant_header=None if tenant_header is None else tenant_header.strip(),
        ce_headers={name.lower(): value for name, value in headers.items() if name.lower().startswith("ce-")},
    )


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name)
    return value is not None and value.lower() in _TRUE


def _utf8(header: str | None) -> str | None:
    """A header's text: senders write UTF-8, and servers hand its bytes over as Latin-1."""
    if header is None or header.isascii():
        return header
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _response(answer: IngestAnswer, *, is_verbose: bool) -> Response:
    if answer.is_single and (refusal := answer.verdicts[0].refusal) is not None:
        key = answer.verdicts[0].idempotency_key
        raise Problem(refusal.code, refusal.detail, **{**refusal.facts, "idempotency_key": key})
    rejected = answer.count("rejected")
    # A single event's row says its key, which may have been generated.
    told = [one for one in answer.verdicts if one.is_told or is_verbose or answer.is_single]
    document = {
        "accepted": answer.count("accepted"),
        "duplicates": answer.count("duplicate"),
        "rejected": rejected,
        "failed": rejected,
        "events": [_row(one) for one in told],
    }
    return Response(document, status=202, headers={"Aforo-Durability": answer.durability})


def _row(verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": verdict.index,
        "idempotency_key": verdict.idempotency_key,
        "status": verdict.status,
    }
    if verdict.is_late:
        row["late"] = True
    if verdict.refusal is not None:
        row |= {
            "code": verdict.refusal.code,
            "detail": verdict.refusal.detail,
            "facts": verdict.refusal.facts,
        }
    return row


class EventsView(APIView):
    scopes: ClassVar = {"POST": "ingest", "GET": "read"}

    @INGEST_SCHEMA
    def post(self, request: Request) -> Response:
        return ingested(request, "events")

    @extend_schema(
        operation_id="v1_events_list",
        tags=["events"],
        summary="List stored events, the latest first",
        parameters=[EventsQuery],
        responses={200: EventsPageSerializer, **problems("input_invalid")},
    )
    def get(self, request: Request) -> Response:
        query = EventsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        cursor = asked.pop("cursor", None)
        limit = asked.pop("limit")
        # One more than asked for tells whether there is another page.
        events = events_for(request.user.tenant, limit=limit + 1, after=_place(cursor), **asked)
        page = events[:limit]
        address = None
        if len(events) > limit:
            address = replace_query_param(request.build_absolute_uri(), "cursor", _cursor(page[-1]))
        return Response({"data": StoredEventSerializer(page, many=True).data, "next": address})


def _cursor(last: StoredEvent) -> str:
    text = f"{instant_text(last.timestamp)} {last.identity}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str | None) -> EventPlace | None:
    if cursor is None:
        return None
    try:
        instant, identity = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return EventPlace(instant_of(instant), UUID(identity))
    except ValueError:
        raise ValidationError({"cursor": ["This is no cursor of an earlier page."]}) from None


class AliasView(APIView):
    """The other addresses of POST /v1/events."""

    scopes: ClassVar = {"POST": "ingest"}

    @INGEST_SCHEMA
    def post(self, request: Request) -> Response:
        return ingested(request, "events")


class MeterCallView(APIView):
    scopes: ClassVar = {"POST": "ingest"}

    @extend_schema(
        tags=["events"],
        summary="Meter one use",
        description="POST /v1/events for SDKs; `tenantId` is your own tenant, the customer.",
        parameters=INGEST_PARAMETERS,
        request=MeterCallSerializer,
        responses={202: IngestAnswerSerializer, **INGEST_PROBLEMS},
        examples=[
            request_example(
                "tokens",
                {
                    "tenantId": "cust_abc",
                    "metricKey": "llm.tokens",
                    "quantity": 1280,
                    "properties": {"model": "gpt-4o"},
                },
            ),
            ACCEPTED_EXAMPLE,
        ],
    )
    def post(self, request: Request) -> Response:
        return ingested(request, "meter")


class CompoundView(APIView):
    scopes: ClassVar = {"POST": "ingest"}

    @extend_schema(
        tags=["events"],
        summary="Meter several measurements of one request",
        parameters=INGEST_PARAMETERS,
        request=CompoundSerializer,
        responses={202: IngestAnswerSerializer, **INGEST_PROBLEMS},
        examples=[
            request_example(
                "one completion",
                {
                    "correlationId": "req_7f2a",
                    "customerId": "cust_abc",
                    "occurredAt": "2026-03-15T11:59:00Z",
                    "metadata": {"model": "gpt-4o"},
                    "measurements": [
                        {"metricName": "llm.input_tokens", "quantity": 1154},
                        {"metricName": "llm.output_tokens", "quantity": 211},
                    ],
                },
            ),
            MIXED_EXAMPLE,
        ],
    )
    def post(self, request: Request) -> Response:
        return ingested(request, "compound")


class EventView(APIView):
    """One key. Keys may hold slashes, so that its address goes on to the end."""

    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["events"],
        summary="What became of an event",
        description=(
            "The stored event with its metering steps, or why it was refused. Until the writer has read it from the "
            "log, which takes a moment, it is `accepted`."
        ),
        responses={200: EventStateSerializer, **problems("not_found")},
    )
    def get(self, request: Request, key: str) -> Response:
        tenant = request.user.tenant
        state = _stored_or_refused(tenant, key)
        if state is None and _is_waiting(tenant, key):
            # It may have become a row meanwhile.
            state = _stored_or_refused(tenant, key) or {
                "status": "accepted",
                "event": None,
                "steps": [],
                "refusals": [],
            }
        if state is None:
            raise Problem("not_found", f"No event {key!r} was received.")
        return Response(EventStateSerializer({"idempotency_key": key, **state}).data)


def _stored_or_refused(tenant: Tenant, key: str) -> dict[str, Any] | None:
    refusals = refusals_for(tenant, key)
    event = event_for(tenant, key)
    if event is None and not refusals:
        return None
    steps = steps_of(tenant, event) if event else steps_of_refusal(refusals[0])
    return {
        "status": "stored" if event else "refused",
        "event": event,
        "steps": [step._asdict() for step in steps],
        "refusals": refusals,
    }


def _is_waiting(tenant: Tenant, key: str) -> bool:
    try:
        return is_waiting(tenant, key)
    except (RedisError, TooMuchWaits) as error:
        raise Problem(
            "not_found",
            f"No event {key!r} is stored; whether it waits in the log cannot be told now.",
            retry_after_s=1,
        ) from error


@extend_schema_view(get=extend_schema(exclude=True))
class EventsBatchView(AliasView, EventView):
    """`/v1/events/batch` is an address to send to, and may also be somebody's key."""

    scopes: ClassVar = {"POST": "ingest", "GET": "read"}

    def get(self, request: Request) -> Response:
        return super().get(request, "batch")
