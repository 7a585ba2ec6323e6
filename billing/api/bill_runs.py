"""Bill runs over HTTP: started, listed, watched."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.idempotency import idempotency_key

from ..documents.bodies import bill_run_body
from ..models import BillRun
from ..schemas.bill_runs import BillRunSerializer, BillRunStartSerializer
from ..selectors.bill_runs import bill_run_for, bill_run_progress, bill_runs_for
from ..selectors.periods import month_window
from ..services.bill_runs import bill_run_finalize, bill_run_start

_RUN = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "status": "RUNNING",
    "starts_on": "2026-03-01",
    "ends_on": "2026-04-01",
    "scope": {},
    "auto_finalize": True,
    "issues_at": None,
    "refreshed_at": None,
    "events_waiting": 0,
    "started_at": "2026-04-01T11:00:00Z",
    "finished_at": None,
    "progress": {"total": 120, "pending": 35, "drafted": 84, "issued": 0, "failed": 1},
    "failures": [
        {
            "customer": "cust_abc",
            "subscription": "sub_1",
            "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
            "error": "The coupon 'welcome' is in EUR, and the plan in USD.",
        }
    ],
}
RUN_EXAMPLE = OpenApiExample("under way", value=_RUN, response_only=True)


def answer(run: BillRun) -> dict[str, object]:
    return bill_run_body(run, bill_run_progress(run))


class BillRunsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = BillRun.objects.none()
    serializer_class = BillRunSerializer
    page_ordering = ("-started_at", "pk")

    @extend_schema(
        tags=["billing"],
        summary="Bill runs, the latest first",
        responses={200: BillRunSerializer(many=True), **problems()},
        examples=[RUN_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(bill_runs_for(request.user.tenant))
        return self.get_paginated_response([answer(run) for run in page])

    @extend_schema(
        tags=["billing"],
        summary="Bill a month",
        description=(
            "Drafts an invoice for every subscription period that ends in the month, then issues them in one order: by "
            "customer, subscription and period. Answered at once; the progress is read from the run. A period is invoiced "
            "once, however often it is billed."
        ),
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key and body give the same run; it is taken up again if it stands still.",
            )
        ],
        request=BillRunStartSerializer,
        responses={
            202: BillRunSerializer,
            **problems(
                "body_unreadable",
                not_found="No customer 'cust_abd'.",
                input_invalid="period: 'March' is no month; write it like 2026-03.",
                state_conflict="The period [2026-03-01T00:00:00Z, 2026-04-01T00:00:00Z) of subscription 'sub_1' is not "
                "over yet; ask for a preview, or bill after its end.",
                idempotency_reused="The key 'march' began another bill run.",
                bill_run_active="A bill run from 2026-03-01 to 2026-04-01 is under way.",
            ),
        },
        examples=[
            OpenApiExample("all customers", value={"period": "2026-03"}, request_only=True),
            OpenApiExample(
                "issued after a day", value={"period": "2026-03", "grace_hours": 24}, request_only=True
            ),
            OpenApiExample(
                "drafts for one customer",
                value={"period": "2026-03", "scope": {"customers": ["cust_abc"]}, "auto_finalize": False},
                request_only=True,
            ),
            RUN_EXAMPLE,
        ],
    )
    def post(self, request: Request) -> Response:
        body = BillRunStartSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        starts_on, ends_on = month_window(asked["period"])
        run = bill_run_start(
            tenant=request.user.tenant,
            starts_on=starts_on,
            ends_on=ends_on,
            customers=tuple(asked.get("scope", {}).get("customers", ())),
            auto_finalize=asked["auto_finalize"],
            grace_hours=asked.get("grace_hours"),
            idempotency_key=idempotency_key(request),
        )
        return Response(answer(run), status=202)


class BillRunView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["billing"],
        summary="A bill run and its progress",
        responses={200: BillRunSerializer, **problems("not_found")},
        examples=[RUN_EXAMPLE],
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        return Response(answer(bill_run_for(request.user.tenant, run_id)))


class BillRunFinalizeView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["billing"],
        summary="End a bill run's grace period now",
        description="Its drafts are made anew and issued. A second call changes nothing.",
        request=None,
        responses={
            202: BillRunSerializer,
            **problems(
                "not_found",
                state_conflict="The bill run waits for nothing; drafts of a finished one are issued one by one, or by a "
                "new run.",
            ),
        },
        examples=[RUN_EXAMPLE],
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        return Response(answer(bill_run_finalize(tenant=request.user.tenant, run_id=run_id)), status=202)
