"""Usage over HTTP: quantities of a customer's meter, and the proof that nothing sent was lost."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, local_midnight
from aforo.tenancy.selectors.tenants import customer_for

from ..conservation import conservation_for
from ..schemas import ConservationQuery, ConservationSerializer, UsageQuery, UsageSerializer
from ..selectors.meters import meter_for
from ..selectors.usage import usage_of


class UsageView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["usage"],
        summary="A customer's usage of a meter",
        description=(
            "The quantity of a period, exact, as decimal text; by windows of the customer's time zone and by the "
            "meter's dimensions where asked for. Every window is listed, at most 1,000 of them. `corrections=before` "
            "asks for the usage as if no event had ever been amended or voided."
        ),
        parameters=[UsageQuery],
        responses={
            200: UsageSerializer,
            **problems(
                not_found="No meter 'api.cal'.",
                input_invalid="group_by region is no dimension of llm.tokens; it keeps: model.",
                events_archived="Events of 2026-03 lie in the archive, in 2026-03/acme_corp-live.parquet; "
                "`manage.py archive restore 2026-03` brings them back.",
            ),
        },
        examples=[
            OpenApiExample(
                "two days by model",
                value={
                    "customer_id": "cust_abc",
                    "metric": "llm.tokens",
                    "aggregation": "SUM",
                    "unit": "token",
                    "timezone": "Asia/Kolkata",
                    "start": "2026-02-28T18:30:00Z",
                    "end": "2026-03-02T18:30:00Z",
                    "groups": [
                        {
                            "by": {"model": "gpt-4o"},
                            "quantity": "1280.5",
                            "windows": [
                                {
                                    "start": "2026-02-28T18:30:00Z",
                                    "end": "2026-03-01T18:30:00Z",
                                    "quantity": "1280.5",
                                },
                                {
                                    "start": "2026-03-01T18:30:00Z",
                                    "end": "2026-03-02T18:30:00Z",
                                    "quantity": "0",
                                },
                            ],
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        query = UsageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        tenant = request.user.tenant
        customer = customer_for(tenant, asked["customer_id"])
        row = meter_for(tenant, asked.get("metric") or asked["meter"])
        period = _period(asked.get("start"), asked.get("end"), customer.zone)
        group_by = [name for name in asked.get("group_by", "").split(",") if name]
        groups = usage_of(
            tenant=tenant,
            customer_id=customer.pk,
            meter=row.meter(),
            period=period,
            window=asked.get("window"),
            zone=customer.zone,
            group_by=group_by,
            is_corrected=asked["corrections"] == "after",
        )
        usage: dict[str, Any] = {
            "customer_id": customer.external_id,
            "metric": row.key,
            "aggregation": row.aggregation,
            "unit": row.unit,
            "timezone": customer.timezone,
            "start": period.start,
            "end": period.end,
        }
        shown = [
            {
                "by": group.by,
                "quantity": group.quantity,
                "windows": [
                    {"start": window.period.start, "end": window.period.end, "quantity": window.quantity}
                    for window in group.windows
                ],
            }
            for group in groups
        ]
        if not asked.get("window"):
            for group in shown:
                del group["windows"]
        if group_by:
            usage["groups"] = shown
        else:
            usage |= {name: value for name, value in shown[0].items() if name != "by"}
        return Response(UsageSerializer(usage).data)


def _period(start: date | datetime | None, end: date | datetime | None, zone: ZoneInfo) -> Period:
    """The asked period; without a start from the first of the month that holds the end's last instant."""
    until = _instant(end, zone) if end is not None else now()
    if start is None:
        start = until.astimezone(zone).date().replace(day=1)
    since = _instant(start, zone)
    if since >= until:
        raise Problem(
            "input_invalid", "end does not lie after the start.", errors={"end": ["Lies after the start."]}
        )
    return Period(since, until)


def _instant(at: date | datetime, zone: ZoneInfo) -> datetime:
    return at if isinstance(at, datetime) else local_midnight(at, zone)


class ConservationView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["usage"],
        summary="received = accepted + duplicates + dead letters",
        description="Counted from what is stored, by UTC day of receipt; never from answers.",
        parameters=[ConservationQuery],
        responses={200: ConservationSerializer, **problems("input_invalid")},
        examples=[
            OpenApiExample(
                "a recording sent twice",
                value={
                    "received": 38732,
                    "accepted": 19366,
                    "duplicates": 19366,
                    "dead_letters": 0,
                    "late": 19366,
                    "waiting": 0,
                    "is_conserved": True,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        query = ConservationQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        conservation = conservation_for(
            request.user.tenant, first_on=asked.get("start"), last_on=asked.get("end")
        )
        return Response(ConservationSerializer(conservation).data)
