"""Customers over HTTP, named by their external_id."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.tenancy.models import Customer
from aforo.tenancy.selectors.tenants import customer_for, customers_listed
from aforo.tenancy.services.customers import customer_create, customer_update

from ..documentation import problems
from ..idempotency import IDEMPOTENCY_KEY, idempotent
from ..schemas import CustomerChangeSerializer, CustomerSerializer, CustomersQuery, NewCustomerSerializer
from ..serializers import asked

_CUSTOMER = {
    "external_id": "cust_abc",
    "name": "ABC Ltd",
    "email": "billing@abc.example",
    "currency": "USD",
    "timezone": "America/New_York",
    "country": "US",
    "tax_jurisdiction": "US-NY",
    "vat_number": "",
    "vat_confirmed_on": None,
    "is_tax_exempt": False,
    "parent": None,
}
_ANSWER = OpenApiExample(
    "cust_abc",
    value={**_CUSTOMER, "vat_status": None, "created_at": "2026-03-01T00:00:00Z"},
    response_only=True,
)
_NOT_FOUND = "No customer 'cust_abd'."
_INVALID = "timezone: 'Mars/Olympus' is no IANA time zone; write one like UTC or Asia/Kolkata."


class CustomersView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Customer.objects.none()
    serializer_class = CustomerSerializer

    @extend_schema(
        tags=["customers"],
        summary="List customers",
        parameters=[CustomersQuery],
        responses={200: CustomerSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        customers = customers_listed(request.user.tenant, **CustomersQuery.filters(request))
        page = self.paginate_queryset(customers)
        return self.get_paginated_response(CustomerSerializer(page, many=True).data)

    @extend_schema(
        tags=["customers"],
        summary="Make a customer",
        parameters=[IDEMPOTENCY_KEY],
        request=NewCustomerSerializer,
        responses={
            201: CustomerSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No customer 'group'.",
                input_invalid=_INVALID,
                already_exists="There is a customer with the external_id 'cust_abc' already.",
            ),
        },
        examples=[
            OpenApiExample("the least", value={"external_id": "cust_abc"}, request_only=True),
            OpenApiExample("all of it", value=_CUSTOMER, request_only=True),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = customer_create(tenant=request.user.tenant, **asked(NewCustomerSerializer, request))
        return Response(CustomerSerializer(made).data, status=201)


class CustomerView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = Customer.objects.none()
    serializer_class = CustomerSerializer

    @extend_schema(
        tags=["customers"],
        summary="Read a customer",
        responses={200: CustomerSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, external_id: str) -> Response:
        return Response(CustomerSerializer(customer_for(request.user.tenant, external_id)).data)

    @extend_schema(
        tags=["customers"],
        summary="Change a customer",
        description="What is left out stays. A time zone or currency that subscriptions bill by stays, too.",
        request=CustomerChangeSerializer,
        responses={
            200: CustomerSerializer,
            **problems(
                "body_unreadable",
                not_found=_NOT_FOUND,
                input_invalid=_INVALID,
                state_conflict="The parents would form a ring: group → shop → group.",
            ),
        },
        examples=[
            OpenApiExample("another payer", value={"parent": "group"}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request, external_id: str) -> Response:
        changed = customer_update(
            tenant=request.user.tenant, external_id=external_id, **asked(CustomerChangeSerializer, request)
        )
        return Response(CustomerSerializer(changed).data)
