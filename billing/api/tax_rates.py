"""The tax table over HTTP; a rate has no name of its own, so its id is its address."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..models import TaxRate
from ..schemas.tax_rates import NewTaxRateSerializer, TaxRateEndSerializer, TaxRateSerializer, TaxRatesQuery
from ..selectors.tax import tax_rate_for, tax_rates_listed
from ..services.tax import tax_rate_create, tax_rate_end

_RATE = {
    "jurisdiction": "US-NY",
    "name": "Sales tax",
    "percent": "8.875",
    "is_inclusive": False,
    "position": 1,
    "is_compound": False,
    "tax_category": "",
    "starts_on": "2026-01-01",
    "ends_on": None,
}
_STORED = {**_RATE, "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e"}
_ANSWER = OpenApiExample("New York City", value=_STORED, response_only=True)
_NOT_FOUND = "No tax rate 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."
_INVALID = "The jurisdiction has this tax on some of these days already."


class TaxRatesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = TaxRate.objects.none()
    serializer_class = TaxRateSerializer

    @extend_schema(
        tags=["taxes"],
        summary="List tax rates",
        parameters=[TaxRatesQuery],
        responses={200: TaxRateSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(tax_rates_listed(request.user.tenant, **TaxRatesQuery.filters(request)))
        return self.get_paginated_response(TaxRateSerializer(page, many=True).data)

    @extend_schema(
        tags=["taxes"],
        summary="Put a rate into the tax table",
        parameters=[IDEMPOTENCY_KEY],
        request=NewTaxRateSerializer,
        responses={
            201: TaxRateSerializer,
            **problems("body_unreadable", "idempotency_reused", input_invalid=_INVALID),
        },
        examples=[OpenApiExample("New York City", value=_RATE, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = tax_rate_create(tenant=request.user.tenant, **asked(NewTaxRateSerializer, request))
        return Response(TaxRateSerializer(made).data, status=201)


class TaxRateView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = TaxRate.objects.none()
    serializer_class = TaxRateSerializer

    @extend_schema(
        tags=["taxes"],
        summary="Read a tax rate",
        responses={200: TaxRateSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, rate_id: UUID) -> Response:
        return Response(TaxRateSerializer(tax_rate_for(request.user.tenant, rate_id)).data)


class TaxRateEndView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = TaxRate.objects.none()
    serializer_class = TaxRateSerializer

    @extend_schema(
        tags=["taxes"],
        summary="End a tax rate, so that another can follow",
        description="Issued invoices keep the rate they were made with.",
        parameters=[IDEMPOTENCY_KEY],
        request=TaxRateEndSerializer,
        responses={
            200: TaxRateSerializer,
            **problems("body_unreadable", "idempotency_reused", not_found=_NOT_FOUND, input_invalid=_INVALID),
        },
        examples=[
            OpenApiExample("from July on", value={"ends_on": "2026-07-01"}, request_only=True),
            OpenApiExample("ended", value={**_STORED, "ends_on": "2026-07-01"}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, rate_id: UUID) -> Response:
        ended = tax_rate_end(
            tenant=request.user.tenant, rate_id=rate_id, **asked(TaxRateEndSerializer, request)
        )
        return Response(TaxRateSerializer(ended).data)
