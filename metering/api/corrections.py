"""Corrections over HTTP: an accepted event amended or voided, and what was corrected so far."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..models import Correction
from ..schemas import (
    AmendSerializer,
    CorrectionSerializer,
    CorrectionsQuery,
    CorrectionWithPeriodsSerializer,
    VoidSerializer,
)
from ..selectors.corrections import correction_for, corrections_for
from ..services.corrections import Corrected, event_amend, event_void
from .events import EventView

_CONTENT = {
    "customer_id": "cust_abc",
    "metric": "api.call",
    "properties": {},
    "quantity": "1000",
    "timestamp": "2026-03-15T12:00:00Z",
}
_CORRECTION = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "kind": "AMEND",
    "idempotency_key": "req_7f2a",
    "before": _CONTENT,
    "after": {**_CONTENT, "quantity": "900"},
    "reason": "Retries of our own counted as calls.",
    "actor": "0195a3c0-0000-7000-8000-000000000001",
    "created_at": "2026-04-03T09:00:00Z",
}
_PERIODS = [
    {
        "subscription": "sub-1",
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "invoice": "INV-000003",
    }
]
_VOIDED = "The event 'req_7f2a' was voided at 2026-04-03T09:00:00Z and counts no longer; send it anew under another key."


def _answer(name: str, **changes: object) -> OpenApiExample:
    return OpenApiExample(name, value={**_CORRECTION, **changes}, response_only=True)


def _corrected(done: Corrected) -> Response:
    status = 201 if done.is_new else 200
    return Response(CorrectionWithPeriodsSerializer(done.correction).data, status=status)


class CorrectionsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Correction.objects.none()
    serializer_class = CorrectionSerializer
    page_ordering = ("-sequence",)

    @extend_schema(
        tags=["corrections"],
        summary="List corrections, the latest first",
        parameters=[CorrectionsQuery],
        responses={200: CorrectionSerializer(many=True), **problems("input_invalid")},
        examples=[_answer("amended")],
    )
    def get(self, request: Request) -> Response:
        corrections = corrections_for(request.user.tenant, **CorrectionsQuery.filters(request))
        page = self.paginate_queryset(corrections)
        return self.get_paginated_response(CorrectionSerializer(page, many=True).data)


class CorrectionView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Correction.objects.none()
    serializer_class = CorrectionWithPeriodsSerializer

    @extend_schema(
        tags=["corrections"],
        summary="Read a correction with the billing periods that it changed",
        responses={200: CorrectionWithPeriodsSerializer, **problems("not_found")},
        examples=[_answer("amended", periods=_PERIODS)],
    )
    def get(self, request: Request, correction_id: UUID) -> Response:
        correction = correction_for(request.user.tenant, correction_id)
        return Response(CorrectionWithPeriodsSerializer(correction).data)


@extend_schema_view(get=extend_schema(exclude=True))
class EventAmendView(EventView):
    """`/v1/events/k/amend` is an address to send to, and `k/amend` may also be somebody's key."""

    scopes: ClassVar = {"POST": "write", "GET": "read"}

    @extend_schema(
        operation_id="v1_events_amend",
        tags=["corrections"],
        summary="Let an accepted event say something else from now on",
        description=(
            "The event is never edited: a correction is appended that points at it, and what it says counts from then "
            "on. Judged like any event, at the event's time of receipt. 200 instead of 201 where the event was already "
            "amended to the same. Of a period that is invoiced, the difference goes onto the subscription's next invoice."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=AmendSerializer,
        responses={
            (200, "application/json"): CorrectionWithPeriodsSerializer,
            201: CorrectionWithPeriodsSerializer,
            **problems(
                "not_found",
                "field_invalid",
                "timestamp_in_future",
                "timestamp_too_old",
                "metric_unknown",
                "customer_unknown",
                "quantity_negative",
                "idempotency_reused",
                "events_archived",
                input_invalid="The event says this already; give what should be different.",
                state_conflict=_VOIDED,
            ),
        },
        examples=[
            OpenApiExample(
                "a quantity",
                value={"quantity": 900, "reason": "Retries of our own counted as calls."},
                request_only=True,
            ),
            OpenApiExample(
                "a customer",
                value={"customer_id": "cust_xyz", "reason": "The gateway took it for another's."},
                request_only=True,
            ),
            _answer("amended", periods=_PERIODS),
        ],
    )
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        changes = asked(AmendSerializer, request)
        reason = changes.pop("reason")
        return _corrected(
            event_amend(
                tenant=request.user.tenant,
                key=key,
                changes=changes,
                reason=reason,
                actor=str(request.user.key_id),
            )
        )

    def get(self, request: Request, key: str) -> Response:
        return super().get(request, f"{key}/amend")


@extend_schema_view(get=extend_schema(exclude=True))
class EventVoidView(EventView):
    """As EventAmendView, for `k/void`."""

    scopes: ClassVar = {"POST": "write", "GET": "read"}

    @extend_schema(
        operation_id="v1_events_void",
        tags=["corrections"],
        summary="Let an accepted event count no longer",
        description=(
            "The event stays where it is, and counted as received; a retry of it is still a duplicate. 200 instead of "
            "201 where it was voided before. Of a period that is invoiced, the difference goes onto the subscription's "
            "next invoice."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=VoidSerializer,
        responses={
            (200, "application/json"): CorrectionWithPeriodsSerializer,
            201: CorrectionWithPeriodsSerializer,
            **problems("not_found", "input_invalid", "idempotency_reused", "events_archived"),
        },
        examples=[
            OpenApiExample("a test", value={"reason": "Sent by a load test."}, request_only=True),
            _answer("voided", kind="VOID", after=None, reason="Sent by a load test.", periods=_PERIODS),
        ],
    )
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        reason = asked(VoidSerializer, request)["reason"]
        return _corrected(
            event_void(tenant=request.user.tenant, key=key, reason=reason, actor=str(request.user.key_id))
        )

    def get(self, request: Request, key: str) -> Response:
        return super().get(request, f"{key}/void")
