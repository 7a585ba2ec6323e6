"""Webhooks over HTTP: the door to which other systems post, signed, and the sources that may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.authentication import scope_demand
from aforo.http.bodies import Body, body_read
from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked
from aforo.tenancy.services.api_keys import KeyHolder

from ..compression import too_large
from ..decoding import BODY_BYTES_MAX
from ..models import WebhookSource
from ..schemas import (
    IngestAnswerSerializer,
    NewWebhookSourceSerializer,
    WebhookRotationSerializer,
    WebhookSourceChangeSerializer,
    WebhookSourceMadeSerializer,
    WebhookSourceSerializer,
)
from ..selectors.webhook_sources import webhook_source_for, webhook_sources_for
from ..services.webhook_sources import (
    webhook_source_create,
    webhook_source_recognise,
    webhook_source_revoke,
    webhook_source_rotate,
    webhook_source_update,
)
from .documentation import ACCEPTED_EXAMPLE, COLLECTED_PROBLEMS
from .ingest import SCOPE, ingested

_MAPPING = {
    "customer_id": "data.account",
    "metric": "=api.call",
    "quantity": "data.units",
    "properties.model": "data.model",
}
_SOURCE = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "address": "/v1/ingest/webhook/7f2aXk3mQ9rT4wZb",
    "name": "Orders",
    "scheme": "standard",
    "mapping": _MAPPING,
    "tolerance_s": 300,
    "rate_limit_per_s": None,
    "created_at": "2026-03-15T12:00:00Z",
    "last_used_at": "2026-03-15T12:04:00Z",
    "secret_before_until": None,
    "revoked_at": None,
}
_ANSWER = OpenApiExample("in use", value=_SOURCE, response_only=True)
_MADE = OpenApiExample(
    "with its secret",
    value={**_SOURCE, "last_used_at": None, "secret": "whsec_RVhBTVBMRUVYQU1QTEVFWEFNUExFRVhBTVBMRUU="},
    response_only=True,
)
_NOT_FOUND = "No webhook source 0195a3c0-0000-7000-8000-000000000002."
_WRONG_MAPPING = "mapping: quantity is neither a path such as data.units nor a text such as =api.call."


class WebhookAuthentication(BaseAuthentication):
    """request.user acts for the source's tenant; request.auth is the body, which was read to be verified."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, tuple[Body, WebhookSource, str]]:
        body = body_read(request.META, bytes_max=BODY_BYTES_MAX)
        if not body.is_whole:
            raise too_large(BODY_BYTES_MAX)
        source, key = webhook_source_recognise(
            public_id=request.parser_context["kwargs"]["public_id"],
            headers=request.headers,
            body=body.content,
        )
        holder = KeyHolder(
            key_id=source.pk,
            tenant=source.tenant,
            scopes=frozenset({SCOPE}),
            rate_limit_per_s=source.rate_limit_per_s,
        )
        return holder, (body, source, key)

    def authenticate_header(self, request: Request) -> str:
        return 'Signature realm="aforo"'


class WebhookSignatureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = WebhookAuthentication
    name = "webhookSignature"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": "Standard Webhooks: HMAC-SHA256 by the source's secret; or `X-Signature: sha256=…`.",
        }


class WebhookView(APIView):
    authentication_classes = (WebhookAuthentication,)
    scopes: ClassVar = {"POST": SCOPE}

    @extend_schema(
        tags=["events"],
        summary="Events from another system, signed",
        description=(
            "The address names a webhook source, whose secret signs the body; no API key is needed. What the source's "
            "mapping finds in the payload is the event; without a mapping the body is one of `POST /v1/events`. An event "
            "without a key gets the delivery's, so that the same delivery counts once."
        ),
        parameters=[
            OpenApiParameter("webhook-id", str, OpenApiParameter.HEADER),
            OpenApiParameter(
                "webhook-timestamp", str, OpenApiParameter.HEADER, description="Seconds since 1970."
            ),
            OpenApiParameter(
                "webhook-signature", str, OpenApiParameter.HEADER, description="`v1,<base64>` …"
            ),
            OpenApiParameter(
                "X-Signature",
                str,
                OpenApiParameter.HEADER,
                description="`sha256=<hexadecimal>`, in the plain scheme.",
            ),
        ],
        request={"application/json": OpenApiTypes.OBJECT},
        responses={
            202: IngestAnswerSerializer,
            **COLLECTED_PROBLEMS,
            **problems("signature_invalid", "signature_expired"),
        },
        examples=[
            OpenApiExample(
                "with a mapping",
                value={"data": {"account": "cust_abc", "units": 3, "model": "gpt-4o"}},
                request_only=True,
            ),
            ACCEPTED_EXAMPLE,
        ],
    )
    def post(self, request: Request, public_id: str) -> Response:
        body, source, key = request.auth
        document, headers = ingested(
            request.META,
            holder=request.user,
            door="webhook",
            body=body,
            # The signature covers the body alone, so that no other header says anything about its events.
            idempotency_key=key,
            source=f"webhook:{public_id}",
            tenant_header=None,
            ce_headers={},
            mapping=source.mapping or None,
        )
        return Response(document, status=202, headers=headers)


def _made(source: WebhookSource, secret: str) -> Response:
    return Response({**WebhookSourceSerializer(source).data, "secret": secret}, status=201)


class WebhookSourcesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = WebhookSource.objects.none()
    serializer_class = WebhookSourceSerializer
    # Their ids are made in the order of time.
    page_ordering = ("-pk",)

    @extend_schema(
        tags=["webhook sources"],
        summary="List webhook sources, the latest first",
        responses={200: WebhookSourceSerializer(many=True), **problems()},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(webhook_sources_for(request.user.tenant))
        return self.get_paginated_response(WebhookSourceSerializer(page, many=True).data)

    @extend_schema(
        tags=["webhook sources"],
        summary="Make a webhook source",
        description="The answer is the only place where its secret is shown. The key needs the scope ingest, too.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewWebhookSourceSerializer,
        responses={
            201: WebhookSourceMadeSerializer,
            **problems("body_unreadable", "idempotency_reused", input_invalid=_WRONG_MAPPING),
        },
        examples=[
            OpenApiExample("orders", value={"name": "Orders", "mapping": _MAPPING}, request_only=True),
            _MADE,
        ],
    )
    @idempotent(shown_once=("secret",))
    def post(self, request: Request) -> Response:
        scope_demand(request.user, SCOPE)
        named = asked(NewWebhookSourceSerializer, request)
        return _made(*webhook_source_create(tenant=request.user.tenant, **named))


class WebhookSourceView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = WebhookSource.objects.none()
    serializer_class = WebhookSourceSerializer

    @extend_schema(
        tags=["webhook sources"],
        summary="Read a webhook source",
        responses={200: WebhookSourceSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, source_id: UUID) -> Response:
        return Response(WebhookSourceSerializer(webhook_source_for(request.user.tenant, source_id)).data)

    @extend_schema(
        tags=["webhook sources"],
        summary="Change a webhook source",
        description="For deliveries to come.",
        request=WebhookSourceChangeSerializer,
        responses={
            200: WebhookSourceSerializer,
            **problems("body_unreadable", not_found=_NOT_FOUND, input_invalid=_WRONG_MAPPING),
        },
        examples=[
            OpenApiExample("another mapping", value={"mapping": _MAPPING}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request, source_id: UUID) -> Response:
        changes = asked(WebhookSourceChangeSerializer, request)
        changed = webhook_source_update(tenant=request.user.tenant, source_id=source_id, **changes)
        return Response(WebhookSourceSerializer(changed).data)


class WebhookSourceRotateView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WebhookSource.objects.none()
    serializer_class = WebhookSourceMadeSerializer

    @extend_schema(
        tags=["webhook sources"],
        summary="Give a webhook source another secret",
        description="The one before still verifies for overlap_s seconds; the address stays.",
        parameters=[IDEMPOTENCY_KEY],
        request=WebhookRotationSerializer,
        responses={
            201: WebhookSourceMadeSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                "input_invalid",
                not_found=_NOT_FOUND,
                state_conflict="The webhook source 7f2aXk3mQ9rT4wZb is revoked.",
            ),
        },
        examples=[
            OpenApiExample("an hour to move over", value={"overlap_s": 3600}, request_only=True),
            _MADE,
        ],
    )
    @idempotent(shown_once=("secret",))
    def post(self, request: Request, source_id: UUID) -> Response:
        scope_demand(request.user, SCOPE)
        named = asked(WebhookRotationSerializer, request)
        overlap = timedelta(seconds=named.pop("overlap_s"))
        return _made(
            *webhook_source_rotate(tenant=request.user.tenant, source_id=source_id, overlap=overlap, **named)
        )


class WebhookSourceRevokeView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WebhookSource.objects.none()
    serializer_class = WebhookSourceSerializer

    @extend_schema(
        tags=["webhook sources"],
        summary="Revoke a webhook source for good",
        description="Its next delivery is refused. Revoking twice keeps the first time.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: WebhookSourceSerializer, **problems("idempotency_reused", not_found=_NOT_FOUND)},
        examples=[
            OpenApiExample(
                "revoked", value={**_SOURCE, "revoked_at": "2026-03-16T12:00:00Z"}, response_only=True
            )
        ],
    )
    @idempotent
    def post(self, request: Request, source_id: UUID) -> Response:
        revoked = webhook_source_revoke(tenant=request.user.tenant, source_id=source_id)
        return Response(WebhookSourceSerializer(revoked).data)
