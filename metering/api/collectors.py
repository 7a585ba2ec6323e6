"""Doors for collectors, each in the collector's own envelope: Amazon Data Firehose and Google Cloud Pub/Sub.

What is refused inside of an envelope is a dead letter, and the envelope is answered with success: a collector would only
send it again.
"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.authentication import ApiKeyAuthentication, key_holder
from aforo.http.problems import headers_of, problem_of
from aforo.kernel.clock import now
from aforo.kernel.errors import PROBLEMS, Problem
from aforo.tenancy.services.api_keys import KeyHolder

from ..event import Door
from ..schemas import (
    FirehoseAnswerSerializer,
    FirehoseRefusalSerializer,
    FirehoseSerializer,
    IngestAnswerSerializer,
    PubSubSerializer,
)
from .documentation import ACCEPTED_EXAMPLE, COLLECTED_PROBLEMS
from .events import IngestView
from .ingest import SCOPE, ingested

_ACCESS_KEY = "X-Amz-Firehose-Access-Key"
_REQUEST_ID = "X-Amz-Firehose-Request-Id"
_EVENT_IN_BASE64 = "eyJtZXRyaWMiOiJhcGkuY2FsbCIsImN1c3RvbWVyX2lkIjoiY3VzdF9hYmMifQ=="
_FIREHOSE_STATUSES = sorted(
    {
        PROBLEMS[code].status
        for code in ("key_unknown", "scope_missing", "rate_limited", "body_unreadable", "body_too_large")
    }
    | {PROBLEMS["media_type_unsupported"].status, PROBLEMS["storage_unavailable"].status}
)


class FirehoseAuthentication(ApiKeyAuthentication):
    """The API key is the stream's access key, which Firehose sends in a header of its own."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, None]:
        key = request.headers.get(_ACCESS_KEY)
        if not key:
            raise Problem("key_missing", f"The header {_ACCESS_KEY} is missing.")
        return key_holder(f"Bearer {key}", request.headers.get("X-Tenant-Id")), None


class FirehoseKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = FirehoseAuthentication
    name = "firehoseAccessKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": _ACCESS_KEY,
            "description": "The access key of the Firehose stream: an API key with the scope ingest.",
        }


class FirehoseView(APIView):
    """Answers in Firehose's own form, refusals too: it keeps what it reads there in its error log."""

    authentication_classes = (FirehoseAuthentication,)
    scopes: ClassVar = {"POST": SCOPE}

    @extend_schema(
        tags=["events"],
        summary="Events from Amazon Data Firehose",
        description=(
            "An HTTP endpoint destination: the stream's access key is an API key. A record holds one event, a list of "
            "them, or one a line. An event without a key gets `<request id>:<place>`, which stays the same when "
            "Firehose tries again."
        ),
        request=FirehoseSerializer,
        responses={
            200: FirehoseAnswerSerializer,
            **dict.fromkeys(_FIREHOSE_STATUSES, FirehoseRefusalSerializer),
        },
        examples=[
            OpenApiExample(
                "one record",
                value={
                    "requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
                    "timestamp": 1578090901599,
                    "records": [{"data": _EVENT_IN_BASE64}],
                },
                request_only=True,
            ),
            OpenApiExample(
                "kept",
                value={"requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f", "timestamp": 1578090903599},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        request_id = request.headers.get(_REQUEST_ID)
        if not request_id:
            raise Problem("fields_missing", f"The header {_REQUEST_ID} is missing.", missing=[_REQUEST_ID])
        _, headers = ingested(
            request.META,
            holder=request.user,
            door="firehose",
            idempotency_key=request_id,
            source=request.headers.get("X-Aforo-Source", "firehose"),
        )
        return Response(self._said(request), headers=headers)

    def handle_exception(self, exc: Exception) -> Response:
        problem = problem_of(exc)
        if problem is None:
            return super().handle_exception(exc)
        headers = headers_of(problem)
        if problem.code == "method_not_allowed":
            headers["Allow"] = ", ".join(self.allowed_methods)
        document = {**self._said(self.request), "errorMessage": f"{problem.code}: {problem.detail}"}
        return Response(document, status=problem.status, headers=headers)

    def _said(self, request: Request) -> dict[str, Any]:
        return {
            "requestId": request.headers.get(_REQUEST_ID, ""),
            "timestamp": int(now().timestamp() * 1000),
        }


class PubSubView(IngestView):
    door: ClassVar[Door] = "pubsub"

    @extend_schema(
        tags=["events"],
        summary="Events from a Google Cloud Pub/Sub push subscription",
        description=(
            "The message's data holds one event, a list of them, or one a line; an event without a key gets the message's "
            "id. The API key is a bearer key in the header Authorization, never part of the address, where logs would "
            "keep it: Pub/Sub itself does not send headers of yours, so that a proxy in front sets it."
        ),
        request=PubSubSerializer,
        responses={202: IngestAnswerSerializer, **COLLECTED_PROBLEMS},
        examples=[
            OpenApiExample(
                "one message",
                value={
                    "message": {
                        "data": _EVENT_IN_BASE64,
                        "messageId": "2070443601311540",
                        "publishTime": "2026-03-15T11:59:00Z",
                        "attributes": {},
                    },
                    "subscription": "projects/acme/subscriptions/usage",
                },
                request_only=True,
            ),
            ACCEPTED_EXAMPLE,
        ],
    )
    def post(self, request: Request) -> Response:
        source = request.headers.get("X-Aforo-Source", "pubsub")
        document, headers = ingested(request.META, holder=request.user, door=self.door, source=source)
        return Response(document, status=202, headers=headers)
