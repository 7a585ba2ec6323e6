"""Dead letter runs over HTTP: looked at before, started, watched, cancelled."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..models import DeadLetterRun
from ..schemas import (
    DeadLetterPreviewSerializer,
    DeadLetterRunSerializer,
    DeadLetterRunsQuery,
    NewDeadLetterRunSerializer,
)
from ..selectors.dead_letter_runs import dead_letter_run_for, dead_letter_runs_for
from ..services.dead_letter_runs import (
    dead_letter_run_cancel,
    dead_letter_run_plan,
    dead_letter_run_preview,
    dead_letter_run_start,
)

_RUN = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "action": "REPLAY",
    "status": "RUNNING",
    "filters": {"code": "metric_unknown", "metric": "api.cal"},
    "metric_to": "api.call",
    "customer_to": "",
    "reason": "",
    "actor": "0195a3c0-0000-7000-8000-000000000001",
    "total": 12000,
    "done": 4200,
    "outcomes": {"accepted": 4150, "duplicate": 50},
    "created_at": "2026-03-15T12:00:00Z",
    "finished_at": None,
}
_ASKED = {"action": "REPLAY", "code": "metric_unknown", "metric": "api.cal", "metric_to": "api.call"}
_EXAMPLES = [
    OpenApiExample("another name", value=_ASKED, request_only=True),
    OpenApiExample(
        "given up",
        value={"action": "DISCARD", "source": "load-test", "reason": "Sent by a load test."},
        request_only=True,
    ),
]
_UNDER_WAY = OpenApiExample("under way", value=_RUN, response_only=True)
_PREVIEW = OpenApiExample(
    "one issued, one open",
    value={
        "count": 12000,
        "looked_at": 5000,
        "accepted": 4950,
        "duplicates": 48,
        "refused": {"timestamp_too_old": 2},
        "left": 0,
        "touched": [
            {
                "customer_id": "cust_abc",
                "subscription": "sub_1",
                "start": "2026-02-01T00:00:00Z",
                "end": "2026-03-01T00:00:00Z",
                "invoice": "INV-000003",
                "events": 950,
            },
            {
                "customer_id": "cust_abc",
                "subscription": "sub_1",
                "start": "2026-03-01T00:00:00Z",
                "end": "2026-04-01T00:00:00Z",
                "invoice": None,
                "events": 4000,
            },
        ],
    },
    response_only=True,
)
_WHICH = (
    "Of the dead letters that wait (NEW, HELD) those that fit all that is given: ids, code, status, customer_id, metric, "
    "source, start, end; or every one with `all`. "
)
_REFUSED = problems(input_invalid="metric_to is unknown: no meter listens to 'api.cal'.")


class DeadLetterRunsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = DeadLetterRun.objects.none()
    serializer_class = DeadLetterRunSerializer
    # Their ids are made in the order of time.
    page_ordering = ("-pk",)

    @extend_schema(
        tags=["dead letters"],
        summary="List runs over dead letters, the latest first",
        parameters=[DeadLetterRunsQuery],
        responses={200: DeadLetterRunSerializer(many=True), **problems("input_invalid")},
        examples=[_UNDER_WAY],
    )
    def get(self, request: Request) -> Response:
        runs = dead_letter_runs_for(request.user.tenant, **DeadLetterRunsQuery.filters(request))
        page = self.paginate_queryset(runs)
        return self.get_paginated_response(DeadLetterRunSerializer(page, many=True).data)

    @extend_schema(
        tags=["dead letters"],
        summary="Replay or discard many dead letters",
        description=_WHICH
        + "metric_to and customer_to map one unknown name to one that is known. Answered at once; workers go through them.",
        parameters=[
            IDEMPOTENCY_KEY,
            OpenApiParameter(
                "Location", str, OpenApiParameter.HEADER, response=[202], description="Where its progress is."
            ),
        ],
        request=NewDeadLetterRunSerializer,
        responses={202: DeadLetterRunSerializer, **_REFUSED, **problems("idempotency_reused")},
        examples=[*_EXAMPLES, _UNDER_WAY],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            planned = _planned(request)
            run = dead_letter_run_start(tenant=request.user.tenant, run_id=planned.pk)
        address = reverse("dead-letter-run", kwargs={"run_id": run.pk})
        return Response(DeadLetterRunSerializer(run).data, status=202, headers={"Location": address})


class DeadLetterRunPreviewView(APIView):
    scopes: ClassVar = {"POST": "read"}

    @extend_schema(
        tags=["dead letters"],
        summary="What a run would do, and which invoices it would touch",
        description=_WHICH
        + "The same checks as the run's, today; of more than 5,000 letters the oldest. Nothing is stored.",
        request=NewDeadLetterRunSerializer,
        responses={200: DeadLetterPreviewSerializer, **_REFUSED},
        examples=[*_EXAMPLES, _PREVIEW],
    )
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            preview = dead_letter_run_preview(_planned(request))
            transaction.set_rollback(True)
        return Response(DeadLetterPreviewSerializer(preview).data)


def _planned(request: Request) -> DeadLetterRun:
    fields: dict[str, Any] = asked(NewDeadLetterRunSerializer, request)
    return dead_letter_run_plan(tenant=request.user.tenant, actor=str(request.user.key_id), **fields)


class DeadLetterRunView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = DeadLetterRun.objects.none()
    serializer_class = DeadLetterRunSerializer

    @extend_schema(
        tags=["dead letters"],
        summary="How far a run is",
        responses={200: DeadLetterRunSerializer, **problems("not_found")},
        examples=[_UNDER_WAY],
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        return Response(DeadLetterRunSerializer(dead_letter_run_for(request.user.tenant, run_id)).data)


class DeadLetterRunCancelView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = DeadLetterRun.objects.none()
    serializer_class = DeadLetterRunSerializer

    @extend_schema(
        tags=["dead letters"],
        summary="Stop a run",
        description="What it has done stays; the letters it has not looked at stay as they are.",
        request=None,
        responses={
            200: DeadLetterRunSerializer,
            **problems("not_found", state_conflict="The run is COMPLETED."),
        },
        examples=[OpenApiExample("stopped", value={**_RUN, "status": "CANCELLED"}, response_only=True)],
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        run = dead_letter_run_cancel(tenant=request.user.tenant, run_id=run_id)
        return Response(DeadLetterRunSerializer(run).data)
