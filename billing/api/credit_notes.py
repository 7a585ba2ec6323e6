"""Credit notes over HTTP: drafted from an invoice, issued, applied."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..models import CreditNote
from ..schemas.credit_notes import CreditNoteSerializer, CreditNotesQuery, NewCreditNoteSerializer
from ..selectors.credit_notes import credit_note_for, credit_notes_listed
from ..services.credit_notes import (
    credit_note_apply,
    credit_note_create,
    credit_note_drop,
    credit_note_issue,
)

_NOTE = {
    "id": "0195a3c2-9000-7c4b-9d1e-3b5f7a9c1d2e",
    "number": "CN-000001",
    "status": "APPLIED",
    "invoice": "INV-000001",
    "customer": "cust_abc",
    "currency": "USD",
    "reason": "An hour's outage on 12 March.",
    "net": "40.00",
    "tax": "7.60",
    "total": "47.60",
    "due_amount": "47.60",
    "wallet_amount": "0.00",
    "created_at": "2026-04-03T09:00:00Z",
    "issued_at": "2026-04-03T09:05:00Z",
    "applied_at": "2026-04-03T09:05:00Z",
    "chain_hash": "c07a…",
    "lines": [{"position": 1, "code": "calls", "description": "Calls", "amount": "40.00"}],
    "taxes": [{"jurisdiction": "DE", "name": "VAT", "amount": "7.60"}],
}
_ANSWER = OpenApiExample("taken off what is due", value=_NOTE, response_only=True)
_DRAFT = OpenApiExample(
    "a draft",
    value={
        **_NOTE,
        "number": None,
        "status": "DRAFT",
        "due_amount": "0.00",
        "issued_at": None,
        "applied_at": None,
        "chain_hash": "",
    },
    response_only=True,
)
_NOT_FOUND = "No credit note 0195a3c2-9000-7c4b-9d1e-3b5f7a9c1d2f."


class CreditNotesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = CreditNote.objects.none()
    serializer_class = CreditNoteSerializer
    page_ordering = ("-created_at", "pk")

    @extend_schema(
        tags=["credit notes"],
        summary="List credit notes, the latest first",
        parameters=[CreditNotesQuery],
        responses={200: CreditNoteSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        notes = credit_notes_listed(request.user.tenant, **CreditNotesQuery.filters(request))
        page = self.paginate_queryset(notes.prefetch_related("lines__line", "taxes__tax"))
        return self.get_paginated_response(CreditNoteSerializer(page, many=True).data)

    @extend_schema(
        tags=["credit notes"],
        summary="Draft a credit of an issued invoice",
        description=(
            "Gives back some of some lines, or all that is left; the taxes follow the invoice's own rules. Never more "
            "than was billed, over all credit notes together. Nothing is booked before it is issued."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=NewCreditNoteSerializer,
        responses={
            201: CreditNoteSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No invoice 'INV-000009'.",
                input_invalid="lines[1] is 60; up to 40 can be given back of it.",
                state_conflict="Nothing is left of INV-000001 that could be given back.",
            ),
        },
        examples=[
            OpenApiExample(
                "40.00 of a line",
                value={
                    "invoice": "INV-000001",
                    "reason": _NOTE["reason"],
                    "lines": [{"position": 1, "amount": "40.00"}],
                },
                request_only=True,
            ),
            OpenApiExample(
                "all of it", value={"invoice": "INV-000001", "reason": "Billed in error."}, request_only=True
            ),
            _DRAFT,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = asked(NewCreditNoteSerializer, request)
        lines = given.pop("lines", None)
        made = credit_note_create(
            tenant=request.user.tenant,
            lines=None if lines is None else [(each["position"], each["amount"]) for each in lines],
            **given,
        )
        return Response(CreditNoteSerializer(made).data, status=201)


class CreditNoteView(APIView):
    scopes: ClassVar = {"GET": "read", "DELETE": "write"}

    @extend_schema(
        tags=["credit notes"],
        summary="Read a credit note",
        responses={200: CreditNoteSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, note_id: UUID) -> Response:
        return Response(CreditNoteSerializer(credit_note_for(request.user.tenant, note_id)).data)

    @extend_schema(
        tags=["credit notes"],
        summary="Drop a draft",
        responses={
            204: None,
            **problems(
                not_found=_NOT_FOUND,
                state_conflict="CN-000001 is issued and stays; credit notes are never taken back.",
            ),
        },
    )
    def delete(self, request: Request, note_id: UUID) -> Response:
        credit_note_drop(tenant=request.user.tenant, note_id=note_id)
        return Response(status=204)


class CreditNoteIssueView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["credit notes"],
        summary="Issue a draft",
        description=(
            "Numbers and books it, and takes it off what is due on the invoice. One that is issued already is answered as "
            "it is."
        ),
        request=None,
        responses={
            200: CreditNoteSerializer,
            **problems(
                not_found=_NOT_FOUND,
                state_conflict="lines[1] is 60; up to 40 can be given back of it. Drop this draft and make another one.",
            ),
        },
        examples=[_ANSWER],
    )
    def post(self, request: Request, note_id: UUID) -> Response:
        issued = credit_note_issue(tenant=request.user.tenant, note_id=note_id)
        return Response(CreditNoteSerializer(issued).data)


class CreditNoteApplyView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["credit notes"],
        summary="Put what is left of an issued credit note into the payer's wallet",
        description="What it took off the invoice's due amount stays there. Applying it twice is applying it once.",
        request=None,
        responses={
            200: CreditNoteSerializer,
            **problems(
                not_found=_NOT_FOUND,
                state_conflict="A draft is issued first; until then it gives nothing back.",
            ),
        },
        examples=[_ANSWER],
    )
    def post(self, request: Request, note_id: UUID) -> Response:
        applied = credit_note_apply(tenant=request.user.tenant, note_id=note_id)
        return Response(CreditNoteSerializer(applied).data)
