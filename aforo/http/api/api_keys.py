"""API keys over HTTP: a secret is shown once, and a key gives away no more than it may do itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.kernel.errors import Problem
from aforo.tenancy.models import ApiKey
from aforo.tenancy.selectors.tenants import api_key_for, api_keys_listed
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke, api_key_rotate

from ..documentation import problems
from ..idempotency import IDEMPOTENCY_KEY, idempotent
from ..schemas import (
    ApiKeyMadeSerializer,
    ApiKeySerializer,
    ApiKeysQuery,
    NewApiKeySerializer,
    RotationSerializer,
    api_key_made,
)
from ..serializers import asked

_KEY = {
    "id": "0195a3c0-0000-7000-8000-000000000001",
    "name": "Kong in Frankfurt",
    "masked": "sk_live_7f2a***",
    "state": "ACTIVE",
    "scopes": ["ingest"],
    "rate_limit_per_s": None,
    "created_at": "2026-03-01T00:00:00Z",
    "last_used_at": "2026-03-15T12:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}
_MADE = OpenApiExample(
    "with its secret",
    value={**_KEY, "last_used_at": None, "secret": "sk_live_7f2aXk3mEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234"},
    response_only=True,
)
_ANSWER = OpenApiExample("in use", value=_KEY, response_only=True)
_NOT_FOUND = "No API key 0195a3c0-0000-7000-8000-000000000002."


def _grant_check(request: Request, scopes: Iterable[str]) -> None:
    """Whoever makes a key may do all that it may do. Raises Problem scope_missing."""
    beyond = sorted(set(scopes) - request.user.scopes)
    if beyond:
        raise Problem(
            "scope_missing",
            f"Your key lacks what the new one would have: {', '.join(beyond)}.",
            scope=beyond[0],
        )


class ApiKeysView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer
    # Their ids are made in the order of time.
    page_ordering = ("-pk",)

    @extend_schema(
        tags=["api keys"],
        summary="List API keys, the latest first",
        parameters=[ApiKeysQuery],
        responses={200: ApiKeySerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(api_keys_listed(request.user.tenant, **ApiKeysQuery.filters(request)))
        return self.get_paginated_response(ApiKeySerializer(page, many=True).data)

    @extend_schema(
        tags=["api keys"],
        summary="Make an API key",
        description="The answer is the only place where the whole key is shown; only its hash is stored.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewApiKeySerializer,
        responses={
            201: ApiKeyMadeSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid='scopes: "everything" is not a valid choice.',
                scope_missing="Your key lacks what the new one would have: write.",
            ),
        },
        examples=[
            OpenApiExample(
                "for a gateway", value={"name": "Kong in Frankfurt", "scopes": ["ingest"]}, request_only=True
            ),
            _MADE,
        ],
    )
    @idempotent(shown_once=("secret",))
    def post(self, request: Request) -> Response:
        named = {"scopes": sorted(request.user.scopes), **asked(NewApiKeySerializer, request)}
        _grant_check(request, named["scopes"])
        key, secret = api_key_create(tenant=request.user.tenant, **named)
        return Response(api_key_made(key, secret), status=201)


class ApiKeyView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer

    @extend_schema(
        tags=["api keys"],
        summary="Read an API key",
        responses={200: ApiKeySerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, key_id: UUID) -> Response:
        return Response(ApiKeySerializer(api_key_for(request.user.tenant, key_id)).data)


class ApiKeyRotateView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeyMadeSerializer

    @extend_schema(
        tags=["api keys"],
        summary="Replace an API key",
        description="Makes a key of the same name and scopes; the old one still works for overlap_s seconds.",
        parameters=[IDEMPOTENCY_KEY],
        request=RotationSerializer,
        responses={
            201: ApiKeyMadeSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                "input_invalid",
                not_found=_NOT_FOUND,
                state_conflict="The key sk_live_7f2a*** is revoked and cannot be rotated.",
            ),
        },
        examples=[
            OpenApiExample("an hour to move over", value={"overlap_s": 3600}, request_only=True),
            _MADE,
        ],
    )
    @idempotent(shown_once=("secret",))
    def post(self, request: Request, key_id: UUID) -> Response:
        overlap = timedelta(seconds=asked(RotationSerializer, request)["overlap_s"])
        tenant = request.user.tenant
        _grant_check(request, api_key_for(tenant, key_id).scopes)
        key, secret = api_key_rotate(tenant=tenant, key_id=key_id, overlap=overlap)
        return Response(api_key_made(key, secret), status=201)


class ApiKeyRevokeView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer

    @extend_schema(
        tags=["api keys"],
        summary="Revoke an API key for good",
        description="It is refused everywhere within a second. Revoking twice keeps the first time.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: ApiKeySerializer, **problems("idempotency_reused", not_found=_NOT_FOUND)},
        examples=[
            OpenApiExample(
                "revoked",
                value={**_KEY, "state": "REVOKED", "revoked_at": "2026-03-15T12:00:00Z"},
                response_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request, key_id: UUID) -> Response:
        revoked = api_key_revoke(tenant=request.user.tenant, key_id=key_id)
        return Response(ApiKeySerializer(revoked).data)
