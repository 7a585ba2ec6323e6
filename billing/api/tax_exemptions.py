"""Exemption certificates over HTTP; a certificate's id is its address."""

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

from ..models import TaxExemption
from ..schemas.tax_exemptions import (
    NewTaxExemptionSerializer,
    TaxExemptionEndSerializer,
    TaxExemptionSerializer,
    TaxExemptionsQuery,
)
from ..selectors.tax import tax_exemption_for, tax_exemptions_listed
from ..services.tax import tax_exemption_create, tax_exemption_end

_EXEMPTION = {
    "customer": "cust_abc",
    "jurisdiction": "US-NY",
    "number": "ST-120-4711",
    "reason": "resale",
    "document_reference": "https://files.acme.example/st-120-4711.pdf",
    "starts_on": "2026-01-01",
    "ends_on": "2029-01-01",
}
_STORED = {**_EXEMPTION, "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e"}
_ANSWER = OpenApiExample("resale in New York", value=_STORED, response_only=True)
_NOT_FOUND = "No tax exemption 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."
_INVALID = "The customer has a certificate of this jurisdiction on some of these days already."


class TaxExemptionsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = TaxExemption.objects.none()
    serializer_class = TaxExemptionSerializer

    @extend_schema(
        tags=["taxes"],
        summary="List exemption certificates",
        parameters=[TaxExemptionsQuery],
        responses={200: TaxExemptionSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        exemptions = tax_exemptions_listed(request.user.tenant, **TaxExemptionsQuery.filters(request))
        page = self.paginate_queryset(exemptions)
        return self.get_paginated_response(TaxExemptionSerializer(page, many=True).data)

    @extend_schema(
        tags=["taxes"],
        summary="Keep a customer's exemption certificate",
        description="No tax of the jurisdiction is charged while it is in force on a period's last local day.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewTaxExemptionSerializer,
        responses={
            201: TaxExemptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid=_INVALID,
                not_found="No customer 'cust_abd'.",
            ),
        },
        examples=[OpenApiExample("resale in New York", value=_EXEMPTION, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = tax_exemption_create(tenant=request.user.tenant, **asked(NewTaxExemptionSerializer, request))
        return Response(TaxExemptionSerializer(made).data, status=201)


class TaxExemptionView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = TaxExemption.objects.none()
    serializer_class = TaxExemptionSerializer

    @extend_schema(
        tags=["taxes"],
        summary="Read an exemption certificate",
        responses={200: TaxExemptionSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, exemption_id: UUID) -> Response:
        return Response(TaxExemptionSerializer(tax_exemption_for(request.user.tenant, exemption_id)).data)


class TaxExemptionEndView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = TaxExemption.objects.none()
    serializer_class = TaxExemptionSerializer

    @extend_schema(
        tags=["taxes"],
        summary="Say until when a certificate is valid",
        description="Issued invoices keep what they were made with.",
        parameters=[IDEMPOTENCY_KEY],
        request=TaxExemptionEndSerializer,
        responses={
            200: TaxExemptionSerializer,
            **problems("body_unreadable", "idempotency_reused", not_found=_NOT_FOUND, input_invalid=_INVALID),
        },
        examples=[
            OpenApiExample("withdrawn in July", value={"ends_on": "2026-07-01"}, request_only=True),
            OpenApiExample("ended", value={**_STORED, "ends_on": "2026-07-01"}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, exemption_id: UUID) -> Response:
        ended = tax_exemption_end(
            tenant=request.user.tenant, exemption_id=exemption_id, **asked(TaxExemptionEndSerializer, request)
        )
        return Response(TaxExemptionSerializer(ended).data)
