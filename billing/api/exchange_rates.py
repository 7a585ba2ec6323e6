"""Exchange rates over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.serializers import asked

from ..models import ExchangeRate
from ..schemas.exchange_rates import ExchangeRateSerializer, ExchangeRatesQuery
from ..selectors.exchange_rates import exchange_rates_listed
from ..services.exchange_rates import exchange_rate_record

_RATE = {"base": "USD", "quote": "EUR", "on": "2026-03-31", "rate": "0.92"}


class ExchangeRatesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PUT": "write"}
    queryset = ExchangeRate.objects.none()
    serializer_class = ExchangeRateSerializer

    @extend_schema(
        tags=["wallets"],
        summary="List exchange rates",
        parameters=[ExchangeRatesQuery],
        responses={200: ExchangeRateSerializer(many=True), **problems("input_invalid")},
        examples=[OpenApiExample("dollars in euros", value=_RATE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        rates = exchange_rates_listed(request.user.tenant, **ExchangeRatesQuery.filters(request))
        return self.get_paginated_response(
            ExchangeRateSerializer(self.paginate_queryset(rates), many=True).data
        )

    @extend_schema(
        tags=["wallets"],
        summary="Record an exchange rate",
        description="Recorded again for a day, the new rate counts for what is issued later; invoices keep theirs.",
        request=ExchangeRateSerializer,
        responses={
            200: ExchangeRateSerializer,
            **problems("body_unreadable", input_invalid="A rate is above zero."),
        },
        examples=[OpenApiExample("dollars in euros", value=_RATE)],
    )
    def put(self, request: Request) -> Response:
        recorded = exchange_rate_record(tenant=request.user.tenant, **asked(ExchangeRateSerializer, request))
        return Response(ExchangeRateSerializer(recorded).data)
