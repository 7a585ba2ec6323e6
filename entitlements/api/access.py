"""Decisions over HTTP: `POST /v1/canAccess` and its kin, on the central site.

aforo/hot.py answers the first two to a plain request before it comes to the views; both call the same functions. The
site's Redis is asked and nothing else; PostgreSQL only for a key that a site which is not complete does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from redis import RedisError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.authentication import ApiKeyAuthentication, key_holder, scope_demand
from aforo.http.bodies import DOCUMENT_BYTES_MAX, body_read
from aforo.http.documentation import ApiKeyScheme, problems
from aforo.http.rate_limit import rate_limit
from aforo.kernel.errors import Problem
from aforo.tenancy.services.api_keys import KeyHolder

from ..edge.central import central_gate, central_keys
from ..edge.gate import Reply
from ..edge.keys import EdgeHolder
from ..schemas import (
    AccessBatchSerializer,
    AccessDecisionsSerializer,
    AccessRequestSerializer,
    AccessSerializer,
    ReservationEndSerializer,
)

SCOPE = "ingest"


def access_holder(
    meta: Mapping[str, Any], *, before_store: Callable[[], object] = lambda: None
) -> tuple[EdgeHolder, dict[str, str]]:
    """Who a call acts for, and the headers of its rate limit.

    before_store: called before the database is asked, which is seldom.
    Raises Problem as of `key_holder`, and rate_limited.
    """
    authorization, tenant = meta.get("HTTP_AUTHORIZATION"), meta.get("HTTP_X_TENANT_ID")
    try:
        holder = central_keys().holder(authorization, tenant)
    except RedisError:
        holder = None
    if holder is None:
        # Not told to the site yet, or nobody's; or the site cannot be asked.
        before_store()
        holder = _held(key_holder(authorization, tenant))
    scope_demand(holder, SCOPE)
    if holder.rate_limit_per_s is None:
        return holder, {}
    allowance = rate_limit().take(holder.key_id, limit_per_s=holder.rate_limit_per_s)
    return holder, {} if allowance is None else allowance.headers()


def _held(holder: KeyHolder) -> EdgeHolder:
    return EdgeHolder(str(holder.key_id), holder.tenant.path, holder.scopes, holder.rate_limit_per_s)


def can_access(holder: EdgeHolder, meta: Mapping[str, Any]) -> Reply:
    """Raises Problem for a body that makes no sense, and with `?enforce=true` for a refusal."""
    is_enforced = "enforce=true" in (meta.get("QUERY_STRING") or "").split("&")
    return central_gate().can_access(holder.tenant, _body(meta), is_enforced=is_enforced)


def can_access_batch(holder: EdgeHolder, meta: Mapping[str, Any]) -> Reply:
    return central_gate().can_access_batch(holder.tenant, _body(meta))


# What aforo/hot.py answers by itself.
HOT: dict[str, Callable[[EdgeHolder, Mapping[str, Any]], Reply]] = {
    "/v1/canAccess": can_access,
    "/v1/canAccess/batch": can_access_batch,
}


def _body(meta: Mapping[str, Any]) -> bytes:
    body = body_read(meta, bytes_max=DOCUMENT_BYTES_MAX)
    if not body.is_whole:
        raise Problem("body_too_large", f"The body has {body.length:,} bytes.", bytes_max=DOCUMENT_BYTES_MAX)
    return body.content


class EdgeKeyAuthentication(ApiKeyAuthentication):
    """Sets request.user to the EdgeHolder: the same keys, recognised at the site."""

    def authenticate(self, request: Request) -> tuple[EdgeHolder, None]:  # type: ignore[override]
        holder, headers = access_holder(request.META)
        request._request.access_headers = headers  # type: ignore[attr-defined]
        return holder, None


class EdgeKeyScheme(ApiKeyScheme):
    target_class = EdgeKeyAuthentication
    name = "apiKeyAtSite"


class AccessView(APIView):
    """A call that is decided at the site. Key, scope and rate are the site's to check."""

    authentication_classes = (EdgeKeyAuthentication,)
    permission_classes = ()
    throttle_classes = ()
    scopes: ClassVar = {"POST": SCOPE, "DELETE": SCOPE}

    def replied(self, request: Request, reply: Reply) -> Response:
        return Response(reply.document, headers={**request._request.access_headers, **reply.headers})  # type: ignore[attr-defined]


_WRONG = problems("input_invalid", "body_unreadable", "body_too_large")


class CanAccessView(AccessView):
    @extend_schema(
        operation_id="v1_can_access",
        tags=["entitlements"],
        summary="May a customer use a feature, and how much is left",
        description=(
            "Decided by the site's own records in well under 5 ms; always 200 for a decision. `reserve` takes the units at "
            "once, and no number of callers at the same time passes a hard limit; without it the call only reads. "
            "`tenantId` names your customer, as `customerId` does."
        ),
        parameters=[
            OpenApiParameter(
                "enforce",
                bool,
                description="Answer a refusal as a gateway does: 403, or 429 for quota and margin.",
            )
        ],
        request=AccessRequestSerializer,
        responses={200: AccessSerializer, **_WRONG},
    )
    def post(self, request: Request) -> Response:
        return self.replied(request, can_access(request.user, request.META))


class CanAccessBatchView(AccessView):
    @extend_schema(
        operation_id="v1_can_access_batch",
        tags=["entitlements"],
        summary="Many such questions at once, up to 100, each decided by itself",
        request=AccessBatchSerializer,
        responses={200: AccessDecisionsSerializer, **_WRONG},
    )
    def post(self, request: Request) -> Response:
        return self.replied(request, can_access_batch(request.user, request.META))


class ReservationView(AccessView):
    @extend_schema(
        operation_id="v1_reservation_release",
        tags=["entitlements"],
        summary="Release a reservation whose units were not used",
        responses={200: ReservationEndSerializer, **problems("not_found")},
    )
    def delete(self, request: Request, reservation_id: str) -> Response:
        return self.replied(request, central_gate().release(request.user.tenant, reservation_id))


class ReservationSettleView(AccessView):
    @extend_schema(
        operation_id="v1_reservation_settle",
        tags=["entitlements"],
        summary="Settle a reservation whose event is sent in a batch",
        description="`POST /v1/meter` with `reservationId` does this by itself.",
        request=None,
        responses={200: ReservationEndSerializer, **problems("not_found")},
    )
    def post(self, request: Request, reservation_id: str) -> Response:
        return self.replied(request, central_gate().settled(request.user.tenant, reservation_id))
