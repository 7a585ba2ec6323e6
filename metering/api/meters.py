"""Meters over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent

from ..models import MeterRow
from ..schemas import MeterChangeSerializer, MeterSerializer, NewMeterSerializer
from ..selectors.meters import meter_for, meters_for
from ..services.meters import meter_create, meter_update

_METER = {
    "key": "llm.input_tokens",
    "name": "Input tokens",
    "event_name": "llm.completion",
    "aggregation": "SUM",
    "value_property": "input_tokens",
    "filters": [{"field": "status", "operator": "LESS_THAN", "value": 500}],
    "group_by": ["model"],
    "unit": "token",
    "conversion": None,
    "allows_negative": False,
}
_ANSWER = OpenApiExample(
    "input tokens by model",
    value={**_METER, "frozen_at": None, "created_at": "2026-03-01T00:00:00Z"},
    response_only=True,
)


class MetersView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = MeterRow.objects.none()
    serializer_class = MeterSerializer

    @extend_schema(
        tags=["meters"],
        summary="List meters",
        responses={200: MeterSerializer(many=True), **problems()},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(meters_for(request.user.tenant))
        return self.get_paginated_response(MeterSerializer(page, many=True).data)

    @extend_schema(
        tags=["meters"],
        summary="Make a meter",
        parameters=[IDEMPOTENCY_KEY],
        request=NewMeterSerializer,
        responses={
            201: MeterSerializer,
            **problems(
                "idempotency_reused",
                already_exists="There is a meter 'api.call' already.",
                input_invalid="group_by has 9 dimensions; up to 8 are kept.",
            ),
        },
        examples=[OpenApiExample("input tokens by model", value=_METER, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        asked = NewMeterSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = meter_create(tenant=request.user.tenant, **asked.validated_data)
        return Response(MeterSerializer(made).data, status=201)


class MeterView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = MeterRow.objects.none()
    serializer_class = MeterSerializer

    @extend_schema(
        tags=["meters"],
        summary="Read a meter",
        responses={200: MeterSerializer, **problems(not_found="No meter 'api.cal'.")},
        examples=[_ANSWER],
    )
    def get(self, request: Request, key: str) -> Response:
        return Response(MeterSerializer(meter_for(request.user.tenant, key)).data)

    @extend_schema(
        tags=["meters"],
        summary="Change a meter",
        description="For events to come; those stored keep what they were counted as.",
        request=MeterChangeSerializer,
        responses={
            200: MeterSerializer,
            **problems(
                not_found="No meter 'api.cal'.",
                input_invalid="group_by has 9 dimensions; up to 8 are kept.",
                state_conflict="aggregation of api.call cannot change: a published charge prices it. Make another meter.",
            ),
        },
        examples=[
            OpenApiExample("another dimension", value={"group_by": ["model", "region"]}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request, key: str) -> Response:
        asked = MeterChangeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        changed = meter_update(tenant=request.user.tenant, key=key, **asked.validated_data)
        return Response(MeterSerializer(changed).data)
