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
from ..schemas.contracts import ContractSerializer, ContractsQuery, NewContractSerializer
from ..selectors.contracts import contract_for, contracts_listed
from ..services.contracts import contract_create

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
}
_ANSWER = OpenApiExample(
    "a minimum and Net-60", value={**_CONTRACT, "customer": "cust_abc"}, response_only=True
)


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
        examples=[OpenApiExample("a minimum and Net-60", value=_CONTRACT, request_only=True), _ANSWER],
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
        responses={200: ContractSerializer, **problems(not_found="No contract 'acme-2027'.")},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(ContractSerializer(contract_for(request.user.tenant, code)).data)
