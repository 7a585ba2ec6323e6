"""The event log over HTTP: what was accepted, refused or held, searched and followed."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from aforo.http.documentation import problems

from ..schemas import (
    EventLogFollowedSerializer,
    EventLogPageSerializer,
    EventLogQuery,
    EventLogTailQuery,
    LogRowSerializer,
)
from ..selectors.event_log import log_followed_for, log_for
from .events import cursor_of, place_of

_ROW = {
    "status": "held",
    "idempotency_key": "req_7f2a",
    "customer_id": "cust_abc",
    "metric": "api.cal",
    "source": "kong",
    "quantity": None,
    "timestamp": None,
    "received_at": "2026-03-15T12:00:00Z",
    "code": "metric_unknown",
    "dead_letter_id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
}


def _asked(kind: type[Serializer], request: Request) -> dict[str, Any]:
    query = kind(data=request.query_params)
    query.is_valid(raise_exception=True)
    return query.validated_data


class EventLogView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["events"],
        summary="Search the event log, the latest first",
        description=(
            "Accepted events by their own time, refused and held ones by their receipt. Duplicates are counted and not "
            "kept: their key shows the event that came first."
        ),
        parameters=[EventLogQuery],
        responses={200: EventLogPageSerializer, **problems("input_invalid", "events_archived")},
        examples=[
            OpenApiExample("one page", value={"data": [_ROW], "next": None}, response_only=True),
        ],
    )
    def get(self, request: Request) -> Response:
        asked: dict[str, Any] = _asked(EventLogQuery, request)
        limit = asked.pop("limit")
        # One more than asked for tells whether there is another page.
        found = log_for(
            request.user.tenant, limit=limit + 1, after=place_of(asked.pop("cursor", None)), **asked
        )
        page = found[:limit]
        address = None
        if len(found) > limit:
            address = replace_query_param(request.build_absolute_uri(), "cursor", cursor_of(page[-1].place))
        return Response({"data": LogRowSerializer(page, many=True).data, "next": address})


class EventLogTailView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["events"],
        summary="Follow the event log",
        description=(
            "What came in since the last look, the latest received first; ask again with its cursor, every second or two. "
            "Up to 50 rows: where more came in, the latest. A row is shown once it is written, if that took less than ten "
            "seconds."
        ),
        parameters=[EventLogTailQuery],
        responses={200: EventLogFollowedSerializer, **problems("input_invalid")},
        examples=[
            OpenApiExample(
                "one row since",
                value={"data": [_ROW], "cursor": "MjAyNi0wMy0xNVQxMjowMDowMFogM2I1ZjdhOWM"},
                response_only=True,
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        rows, cursor = log_followed_for(request.user.tenant, **_asked(EventLogTailQuery, request))
        return Response({"data": LogRowSerializer(rows, many=True).data, "cursor": cursor})
