"""Invoices over HTTP: listed, read, explained, previewed, issued."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems

from ..documents.bodies import invoice_body, summary_body, trace_body
from ..documents.invoice import invoice_html
from ..documents.numbers import locale_of
from ..models import Invoice
from ..posting import document_stored
from ..schemas.invoices import (
    InvoiceSerializer,
    InvoicesQuery,
    InvoiceSummarySerializer,
    PreviewSerializer,
    TraceSerializer,
)
from ..selectors.invoices import invoice_for, invoices_listed
from ..services.invoices import invoice_issue, invoice_preview, invoice_start

_SUMMARY = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "number": "INV-000001",
    "status": "OPEN",
    "customer": "cust_abc",
    "subscription": "sub_1",
    "currency": "USD",
    "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
    "last_on": "2026-03-31",
    "issued_at": "2026-04-02T09:00:00Z",
    "due_on": "2026-05-02",
    "subtotal": "49.72",
    "commitment": "0.00",
    "discount": "-2.49",
    "tax": "4.19",
    "total": "51.42",
    "wallet_amount": "0.00",
    "due_amount": "51.42",
}
_INVOICE = {
    **_SUMMARY,
    "lines": [
        {
            "position": 1,
            "kind": "USAGE_FEE",
            "code": "input_tokens",
            "description": "Input tokens",
            "quantity": "22361870",
            "amount": "49.72",
            "discount": "-2.49",
            "tiers": [
                {
                    "tier": 1,
                    "quantity": "10000000",
                    "unit_price": "0.0000025",
                    "flat_fee": "0",
                    "amount": "25",
                },
                {
                    "tier": 2,
                    "quantity": "12361870",
                    "unit_price": "0.000002",
                    "flat_fee": "0",
                    "amount": "24.72374",
                },
            ],
        },
        {
            "position": 2,
            "kind": "DISCOUNT",
            "code": "welcome",
            "description": "Welcome",
            "quantity": None,
            "amount": "-2.49",
            "discount": "0.00",
            "tiers": [],
        },
    ],
    "seller_vat_number": None,
    "customer_vat_number": None,
    "taxes": [
        {
            "jurisdiction": "US-NY",
            "name": "Sales tax",
            "percent": "8.875",
            "is_inclusive": False,
            "taxable_amount": "47.23",
            "amount": "4.19",
            "treatment": None,
            "note": None,
        }
    ],
    "issues": [],
    "input_hash": "2f5c…",
    "result_hash": "9b1d…",
    "chain_hash": "c07a…",
}
INVOICE_EXAMPLE = OpenApiExample("issued", value=_INVOICE, response_only=True, status_codes=["200"])
NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Number or id.")
LOCALE = OpenApiParameter("locale", str, description="Such as de or en-GB; US English if left out.")


class InvoicesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Invoice.objects.none()
    serializer_class = InvoiceSummarySerializer
    page_ordering = ("-created_at", "pk")

    @extend_schema(
        tags=["invoices"],
        summary="Invoices, the latest first",
        parameters=[InvoicesQuery],
        responses={200: InvoiceSummarySerializer(many=True), **problems("input_invalid")},
        examples=[OpenApiExample("issued", value=_SUMMARY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        query = InvoicesQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        invoices = invoices_listed(
            request.user.tenant,
            customer=asked.get("customer"),
            status=asked.get("status"),
            month=asked.get("period"),
        )
        page = self.paginate_queryset(invoices)
        return self.get_paginated_response([summary_body(invoice) for invoice in page])


class InvoiceView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["invoices"],
        summary="An invoice with its lines and taxes",
        parameters=[NAME],
        responses={200: InvoiceSerializer, **problems(not_found="No invoice 'INV-000009'.")},
        examples=[INVOICE_EXAMPLE],
    )
    def get(self, request: Request, name: str) -> Response:
        invoice = invoice_for(request.user.tenant, name)
        return Response(invoice_body(document_stored(invoice)))


class InvoiceTraceView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["invoices"],
        summary="How an invoice came to be, stage by stage",
        parameters=[NAME],
        responses={200: TraceSerializer, **problems("not_found")},
        examples=[
            OpenApiExample(
                "one of the ten stages",
                value={
                    "id": _SUMMARY["id"],
                    "number": "INV-000001",
                    "input_hash": "2f5c…",
                    "result_hash": "9b1d…",
                    "stages": [
                        {
                            "stage": "tax",
                            "name": "Tax",
                            "hash": "77ab…",
                            "explanations": [
                                {
                                    "code": "tax.exclusive",
                                    "subject": "US-NY",
                                    "sentence": "Sales tax: 8.875 % of 47.23 is 4.19.",
                                    "facts": {
                                        "name": "Sales tax",
                                        "percent": "8.875",
                                        "taxable": "47.23",
                                        "amount": "4.19",
                                    },
                                }
                            ],
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(trace_body(invoice_for(request.user.tenant, name)))


class InvoiceHtmlView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["invoices"],
        summary="An invoice as a printable page",
        parameters=[NAME, LOCALE],
        responses={(200, "text/html"): OpenApiTypes.STR, **problems("not_found")},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        document = document_stored(invoice_for(request.user.tenant, name))
        html = invoice_html(
            document.invoice,
            document.lines,
            document.taxes,
            locale=locale_of(request.query_params.get("locale")),
        )
        return HttpResponse(html)


class InvoiceIssueView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["invoices"],
        summary="Issue a draft",
        description=(
            "Gives the draft its number, books it and takes the wallet's part as the wallet is now. An invoice that is "
            "issued already is answered as it is."
        ),
        parameters=[NAME],
        request=None,
        responses={
            200: InvoiceSerializer,
            **problems("not_found", state_conflict="A void invoice cannot be issued; draft the period anew."),
        },
        examples=[INVOICE_EXAMPLE],
    )
    def post(self, request: Request, name: str) -> Response:
        tenant = request.user.tenant
        issued = invoice_issue(tenant=tenant, invoice_id=invoice_for(tenant, name).pk)
        return Response(invoice_body(document_stored(issued)))


class InvoiceStartView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["invoices"],
        summary="Draft what is due when a subscription's billing begins",
        description=(
            "Setup fees, and fees in advance of the first period. Without it, the invoice of the first period bills the same. "
            "Asked again, it is drafted anew; an issued one is answered as it is."
        ),
        request=None,
        responses={
            200: InvoiceSerializer,
            **problems(
                not_found="No subscription 'sub_9'.",
                state_conflict="The subscription 'sub_1' has no setup fee and no fee in advance; nothing is due at its start.",
            ),
        },
        examples=[INVOICE_EXAMPLE],
    )
    def post(self, request: Request, code: str) -> Response:
        invoice = invoice_start(tenant=request.user.tenant, subscription_code=code)
        return Response(invoice_body(document_stored(invoice)))


class InvoicePreviewView(APIView):
    scopes: ClassVar = {"POST": "read"}

    @extend_schema(
        tags=["invoices"],
        summary="What a subscription's period costs so far",
        description="The same computation as a bill run's, on the usage that is stored now; nothing is kept.",
        request=PreviewSerializer,
        responses={
            200: InvoiceSerializer,
            **problems(
                "body_unreadable",
                "input_invalid",
                not_found="No subscription 'sub_9'.",
                state_conflict="The subscription 'sub_1' did not run in [2025-03-01T00:00:00Z, 2025-04-01T00:00:00Z).",
            ),
        },
        examples=[
            OpenApiExample("the present period", value={"subscription": "sub_1"}, request_only=True),
            OpenApiExample(
                "March", value={"subscription": "sub_1", "at": "2026-03-15T00:00:00Z"}, request_only=True
            ),
            OpenApiExample(
                "preview",
                value={
                    **_INVOICE,
                    "id": None,
                    "number": None,
                    "status": "PREVIEW",
                    "issued_at": None,
                    "due_on": None,
                    "chain_hash": None,
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        body = PreviewSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        preview = invoice_preview(
            tenant=request.user.tenant,
            subscription_code=body.validated_data["subscription"],
            at=body.validated_data.get("at"),
        )
        return Response(invoice_body(preview))
