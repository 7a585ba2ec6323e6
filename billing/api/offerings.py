"""Offerings over HTTP, named by their code."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import PageQuery, asked

from ..models import Offering
from ..schemas.offerings import NewOfferingSerializer, OfferingSerializer
from ..selectors.catalog import offering_for, offerings_for
from ..services.catalog import offering_create

_OFFERING = {
    "code": "llm",
    "name": "Language models",
    "plans": ["llm-payg"],
    "billing_mode": "HYBRID",
    "currency": "USD",
    "payment_terms_days": 30,
}
_ANSWER = OpenApiExample("wallet first", value=_OFFERING, response_only=True)


class OfferingsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Offering.objects.none()
    serializer_class = OfferingSerializer

    @extend_schema(
        tags=["catalog"],
        summary="List offerings",
        parameters=[PageQuery],
        responses={200: OfferingSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(offerings_for(request.user.tenant).filter(**PageQuery.filters(request)))
        return self.get_paginated_response(OfferingSerializer(page, many=True).data)

    @extend_schema(
        tags=["catalog"],
        summary="Make an offering",
        description="What customers buy: rate plans of one currency, with a billing mode.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewOfferingSerializer,
        responses={
            201: OfferingSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="currency is USD, but the rate plan 'llm-eu' is in EUR.",
                not_found="No rate plan 'llm-pyag'.",
                already_exists="There is an offering with the code 'llm' already.",
            ),
        },
        examples=[OpenApiExample("wallet first", value=_OFFERING, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = offering_create(tenant=request.user.tenant, **asked(NewOfferingSerializer, request))
        return Response(OfferingSerializer(made).data, status=201)


class OfferingView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Offering.objects.none()
    serializer_class = OfferingSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Read an offering",
        responses={200: OfferingSerializer, **problems(not_found="No offering 'lmm'.")},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(OfferingSerializer(offering_for(request.user.tenant, code)).data)
