"""Contracts over HTTP, named by their code."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..models import Contract
from ..schemas.contracts import (
    ContractSerializer,
    ContractsQuery,
    NewContractSerializer,
    TerminationSerializer,
)
from ..selectors.contracts import contract_for, contracts_listed
from ..services.contracts import contract_create, contract_terminate

_CONTRACT = {
    "code": "acme-2026",
    "subscription": "sub-1",
    "currency": "USD",
    "starts_on": "2026-01-01",
    "ends_on": "2027-01-01",
    "minimum_amount": "100.00",
    "maximum_amount": None,
    "discount_percent": "5",
    "payment_terms_days": 60,
    "renewal_months": 12,
    "notice_days": 30,
    "commitments": [
        {
            "kind": "MINIMUM",
            "amount": "100000.00",
            "product": "api",
            "meter": None,
            "period": "year",
            "true_up": "quarter",
        }
    ],
    "discounts": [
        {
            "percent": "10",
            "threshold": "500000",
            "threshold_meter": "api.call",
            "product": None,
            "meter": "api.call",
        }
    ],
    "prices": [{"charge": "calls", "model": "PER_UNIT", "terms": {"unit_price": "0.004"}}],
    "trials": [{"product": "assistant", "days": 90}],
}
_ANSWER = OpenApiExample(
    "minimums, a volume discount and Net-60",
    value={
        **_CONTRACT,
        "customer": "cust_abc",
        "terminated_at": None,
        "renewals": [],
        "warnings": [
            "Up to 14.5 % off can bring what is paid to 85.50 USD, below the minimum of 100.00: a minimum is of what is used, "
            "before discounts."
        ],
    },
    response_only=True,
)
_NOT_FOUND = "No contract 'acme-2027'."


class ContractsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Contract.objects.none()
    serializer_class = ContractSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="List contracts",
        parameters=[ContractsQuery],
        responses={200: ContractSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(
            contracts_listed(request.user.tenant, **ContractsQuery.filters(request))
        )
        return self.get_paginated_response(ContractSerializer(page, many=True).data)

    @extend_schema(
        tags=["subscriptions"],
        summary="Agree on terms over a subscription",
        parameters=[IDEMPOTENCY_KEY],
        request=NewContractSerializer,
        responses={
            201: ContractSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="The subscription has another contract in this term.",
                not_found="No subscription 'sub-9'.",
                already_exists="There is a contract with the code 'acme-2026' already.",
            ),
        },
        examples=[
            OpenApiExample("minimums, a volume discount and Net-60", value=_CONTRACT, request_only=True),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = contract_create(tenant=request.user.tenant, **asked(NewContractSerializer, request))
        return Response(ContractSerializer(made).data, status=201)


class ContractView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Contract.objects.none()
    serializer_class = ContractSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Read a contract",
        responses={200: ContractSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(ContractSerializer(contract_for(request.user.tenant, code)).data)


class ContractTerminateView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Contract.objects.none()
    serializer_class = ContractSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Let a contract end with its term",
        description="It is not renewed any more; an open one ends on the day that is named.",
        parameters=[IDEMPOTENCY_KEY],
        request=TerminationSerializer,
        responses={
            200: ContractSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="ends_on is missing; the contract is open, so say its first day without it.",
                not_found=_NOT_FOUND,
                state_conflict="Notice for the end on 2027-01-01 was due before 2026-12-02; the contract is renewed for another "
                "term.",
            ),
        },
        examples=[OpenApiExample("with its term", value={}, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        ended = contract_terminate(
            tenant=request.user.tenant, code=code, **asked(TerminationSerializer, request)
        )
        return Response(ContractSerializer(ended).data)
