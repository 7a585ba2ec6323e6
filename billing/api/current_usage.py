"""Current usage over HTTP: what a subscription's present period comes to so far."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems

from ..documents.bodies import current_usage_body
from ..schemas.current_usage import CurrentUsageSerializer
from ..services.invoices import current_usage


class CurrentUsageView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["subscriptions"],
        summary="What the present period comes to so far",
        description="Each charge's usage, its quota and its price, before commitments, discounts and taxes; the same "
        "computation as the invoice's, on the usage that is stored now. Nothing is kept.",
        responses={
            200: CurrentUsageSerializer,
            **problems(
                not_found="No subscription 'sub-9'.",
                state_conflict="The subscription 'sub-1' did not run in [2026-04-01T00:00:00Z, 2026-05-01T00:00:00Z).",
            ),
        },
        examples=[
            OpenApiExample(
                "1,500 calls, of which 1,000 are included",
                value={
                    "subscription": "sub-1",
                    "customer": "cust_abc",
                    "currency": "USD",
                    "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
                    "amount": "0.50",
                    "charges": [
                        {
                            "kind": "USAGE_FEE",
                            "code": "calls",
                            "description": "Calls",
                            "quantity": "1500",
                            "quota": "2000",
                            "remaining": "500",
                            "amount": "0.50",
                            "tiers": [
                                {
                                    "tier": 1,
                                    "quantity": "500",
                                    "unit_price": "0.001",
                                    "flat_fee": "0",
                                    "amount": "0.5",
                                }
                            ],
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(current_usage_body(current_usage(tenant=request.user.tenant, subscription_code=code)))
