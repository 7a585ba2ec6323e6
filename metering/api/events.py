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

from aforo.http.documentation import problems
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant

from ..event import Door
from ..intake.timestamp import instant_of
from ..models import DeadLetter, DeadLetterStatus
from ..schemas import (
    CompoundSerializer,
    EventsPageSerializer,
    EventsQuery,
    EventStateSerializer,
    IngestAnswerSerializer,
    MeterCallSerializer,
    StoredEventSerializer,
)
from ..selectors.corrections import corrections_for, counting_event_for
from ..selectors.event_log import EVENTS
from ..selectors.event_steps import refusals_for, steps_of, steps_of_refusal
from ..selectors.events import EventPlace, event_for, events_for
from ..waiting import TooMuchWaits, is_waiting
from .documentation import (
    ACCEPTED_EXAMPLE,
    INGEST_PARAMETERS,
    INGEST_PROBLEMS,
    INGEST_SCHEMA,
    MIXED_EXAMPLE,
    request_example,
)
from .ingest import SCOPE, ingested


class IngestView(APIView):
    """Where events are sent to. aforo/hot.py answers the same to a plain request before it comes here."""

    scopes: ClassVar = {"POST": SCOPE}
    door: ClassVar[Door] = "events"

    def ingested(self, request: Request) -> Response:
        document, headers = ingested(request.META, holder=request.user, door=self.door)
        return Response(document, status=202, headers=headers)


class EventsView(IngestView):
    scopes: ClassVar = {"POST": SCOPE, "GET": "read"}

    @INGEST_SCHEMA
    def post(self, request: Request) -> Response:
        return self.ingested(request)

    @extend_schema(
        operation_id="v1_events_list",
        tags=["events"],
        summary="List stored events as they count today, the latest first",
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
        status = asked.pop("status", None)
        events = events_for(
            request.user.tenant,
            limit=limit + 1,
            after=place_of(cursor),
            is_late=None if status is None else EVENTS[status],
            **asked,
        )
        page = events[:limit]
        address = None
        if len(events) > limit:
            address = replace_query_param(
                request.build_absolute_uri(),
                "cursor",
                cursor_of(EventPlace(page[-1].timestamp, page[-1].identity)),
            )
        return Response({"data": StoredEventSerializer(page, many=True).data, "next": address})


def cursor_of(place: EventPlace) -> str:
    """Where a page ended, as text for the next one's address."""
    text = f"{instant_text(place.timestamp)} {place.identity}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> EventPlace | None:
    """Raises DRF's ValidationError for what cursor_of has not written."""
    if cursor is None:
        return None
    try:
        instant, identity = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return EventPlace(instant_of(instant), UUID(identity))
    except ValueError:
        raise ValidationError({"cursor": ["This is no cursor of an earlier page."]}) from None


class AliasView(IngestView):
    """The other addresses of POST /v1/events."""

    @INGEST_SCHEMA
    def post(self, request: Request) -> Response:
        return self.ingested(request)


class MeterCallView(IngestView):
    door: ClassVar[Door] = "meter"

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
        return self.ingested(request)


class CompoundView(IngestView):
    door: ClassVar[Door] = "compound"

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
        return self.ingested(request)


class EventView(APIView):
    """One key. Keys may hold slashes, so that its address goes on to the end."""

    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["events"],
        summary="What became of an event",
        description=(
            "The stored event with its metering steps, or why it was refused or is held. Until the writer has read it from the "
            "log, which takes a moment, it is `accepted`."
        ),
        responses={200: EventStateSerializer, **problems("not_found", "events_archived")},
    )
    def get(self, request: Request, key: str) -> Response:
        tenant = request.user.tenant
        state = _stored_or_refused(tenant, key)
        if state is None and _is_waiting(tenant, key):
            # It may have become a row meanwhile.
            state = _stored_or_refused(tenant, key) or {
                "status": "accepted",
                "event": None,
                "counting": None,
                "steps": [],
                "corrections": [],
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
    corrections = list(corrections_for(tenant, idempotency_key=key))
    counting = counting_event_for(tenant, key)
    steps = steps_of(tenant, counting or event, corrections) if event else steps_of_refusal(refusals[0])
    return {
        "status": "stored" if event else _status_of_refusal(refusals[0]),
        "event": event,
        "counting": counting,
        "corrections": corrections,
        "steps": [step._asdict() for step in steps],
        "refusals": refusals,
    }


def _status_of_refusal(letter: DeadLetter) -> str:
    return "held" if letter.status == DeadLetterStatus.HELD else "refused"


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

    scopes: ClassVar = {"POST": SCOPE, "GET": "read"}

    def get(self, request: Request) -> Response:
        return super().get(request, "batch")
