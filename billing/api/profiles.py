"""The billing profile over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.serializers import asked

from ..schemas.profiles import BillingProfileSerializer
from ..selectors.profiles import billing_profile_for
from ..services.profiles import billing_profile_set

_ANSWER = OpenApiExample(
    "half up",
    value={
        "legal_name": "Acme Corp",
        "legal_address": "1 Main Street, Springfield",
        "country": "US",
        "vat_number": "",
        "number_prefix": "INV",
        "tax_engine": "",
        "tax_engine_url": "",
        "is_tax_engine_signed": False,
        "rounding": "half_up",
        "grace_hours": 0,
        "pays_across_currencies": False,
    },
    response_only=True,
)


class BillingProfileView(APIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}

    @extend_schema(
        tags=["billing"],
        summary="How your invoices are rounded, numbered and named",
        responses={200: BillingProfileSerializer, **problems()},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        return Response(BillingProfileSerializer(billing_profile_for(request.user.tenant)).data)

    @extend_schema(
        tags=["billing"],
        summary="Change how your invoices are rounded, numbered and named",
        description="For invoices drafted from now on.",
        request=BillingProfileSerializer,
        responses={200: BillingProfileSerializer, **problems("body_unreadable", "input_invalid")},
        examples=[
            OpenApiExample("bankers' rounding", value={"rounding": "half_even"}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request) -> Response:
        profile = billing_profile_set(tenant=request.user.tenant, **asked(BillingProfileSerializer, request))
        return Response(BillingProfileSerializer(profile).data)
