"""Dead letters over HTTP: found, read, sent again, discarded."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems

from ..models import DeadLetter
from ..schemas import (
    DeadLetterGrowthSerializer,
    DeadLetterSerializer,
    DeadLettersQuery,
    DeadLetterWithPayloadSerializer,
    DiscardSerializer,
    ReplaySerializer,
)
from ..selectors.dead_letter_growth import growth_for
from ..selectors.dead_letters import dead_letter_for, dead_letters_for
from ..services.dead_letters import dead_letter_discard, dead_letter_replay

_json = msgspec.json.Encoder(decimal_format="number")

_LETTER = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "status": "NEW",
    "code": "customer_unknown",
    "detail": "There is no customer 'cust_abd'.",
    "facts": {"customer_id": "cust_abd"},
    "idempotency_key": "req_7f2a",
    "customer_id": "cust_abd",
    "metric": "api.call",
    "source": "rest",
    "api_key_id": "0195a3c0-0000-7000-8000-000000000001",
    "received_at": "2026-03-15T12:00:00Z",
    "attempts": 1,
    "result": {},
    "actor": "",
    "reason": "",
    "changed_at": "2026-03-15T12:00:00Z",
    "payload_length": 68,
    "payload_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
_PAYLOAD = {"idempotency_key": "req_7f2a", "event": "api.call", "customer_id": "cust_abd"}


def _answer(name: str, **changes: object) -> OpenApiExample:
    return OpenApiExample(name, value={**_LETTER, **changes}, response_only=True)


class DeadLettersView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = DeadLetter.objects.none()
    serializer_class = DeadLetterSerializer
    # Their ids are made in the order of time.
    page_ordering = ("-pk",)

    @extend_schema(
        tags=["dead letters"],
        summary="List dead letters, the latest first",
        parameters=[DeadLettersQuery],
        responses={200: DeadLetterSerializer(many=True), **problems("input_invalid")},
        examples=[_answer("unknown customer")],
    )
    def get(self, request: Request) -> Response:
        query = DeadLettersQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = self.paginate_queryset(dead_letters_for(request.user.tenant, **query.validated_data))
        return self.get_paginated_response(DeadLetterSerializer(page, many=True).data)


class DeadLetterGrowthView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["dead letters"],
        summary="Whether dead letters grow so fast that it is an alarm",
        description="Of the last hour, against the thresholds of the metering profile; both have to be reached.",
        responses={200: DeadLetterGrowthSerializer, **problems()},
        examples=[
            OpenApiExample(
                "an alarm",
                value={
                    "is_alarm": True,
                    "letters": 120,
                    "share_percent": "20.00",
                    "letters_min": 100,
                    "share_percent_min": "5.00",
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        return Response(DeadLetterGrowthSerializer(growth_for(request.user.tenant)).data)


class DeadLetterView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = DeadLetter.objects.none()
    serializer_class = DeadLetterWithPayloadSerializer

    @extend_schema(
        tags=["dead letters"],
        summary="Read a dead letter with its payload",
        responses={200: DeadLetterWithPayloadSerializer, **problems("not_found")},
        examples=[_answer("unknown customer", payload=_PAYLOAD)],
    )
    def get(self, request: Request, letter_id: UUID) -> Response:
        letter = dead_letter_for(request.user.tenant, letter_id)
        return Response(DeadLetterWithPayloadSerializer(letter).data)


class DeadLetterReplayView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = DeadLetter.objects.none()
    serializer_class = DeadLetterSerializer

    @extend_schema(
        tags=["dead letters"],
        summary="Send a refused event again",
        description=(
            "Through the same checks, at the original time of receipt; an event that lay in the future is judged now. "
            "`result` says where it ended. A second replay changes nothing."
        ),
        request=ReplaySerializer,
        responses={
            200: DeadLetterSerializer,
            **problems("not_found", "input_invalid", state_conflict="The dead letter was discarded."),
        },
        examples=[
            OpenApiExample("as received", value={}, request_only=True),
            OpenApiExample(
                "corrected", value={"payload": {**_PAYLOAD, "customer_id": "cust_abc"}}, request_only=True
            ),
            _answer(
                "stored",
                status="REPLAYED",
                attempts=2,
                result={"outcome": "accepted", "idempotency_key": "req_7f2a"},
            ),
        ],
    )
    def post(self, request: Request, letter_id: UUID) -> Response:
        asked = ReplaySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        payload = asked.validated_data.get("payload")
        letter = dead_letter_replay(
            tenant=request.user.tenant,
            letter_id=letter_id,
            actor=str(request.user.key_id),
            payload=None if payload is None else _json.encode(payload),
        )
        return Response(DeadLetterSerializer(letter).data)


class DeadLetterDiscardView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = DeadLetter.objects.none()
    serializer_class = DeadLetterSerializer

    @extend_schema(
        tags=["dead letters"],
        summary="Give a refused event up",
        request=DiscardSerializer,
        responses={
            200: DeadLetterSerializer,
            **problems(
                "not_found",
                "input_invalid",
                state_conflict="The dead letter is REPLAYED and cannot be discarded.",
            ),
        },
        examples=[
            OpenApiExample("a test", value={"reason": "Sent by a load test."}, request_only=True),
            _answer("discarded", status="DISCARDED", reason="Sent by a load test."),
        ],
    )
    def post(self, request: Request, letter_id: UUID) -> Response:
        asked = DiscardSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        letter = dead_letter_discard(
            tenant=request.user.tenant,
            letter_id=letter_id,
            reason=asked.validated_data["reason"],
            actor=str(request.user.key_id),
        )
        return Response(DeadLetterSerializer(letter).data)
