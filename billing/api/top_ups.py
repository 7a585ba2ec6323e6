"""What fills a wallet, over HTTP: its top-up rule, top-ups and their payments, and grants that recur."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import PageQuery, asked

from ..models import RecurringGrant, WalletTopUp, WalletTopUpRule
from ..schemas.top_ups import (
    NewRecurringGrantSerializer,
    NewTopUpRuleSerializer,
    NewTopUpSerializer,
    RecurringGrantEndSerializer,
    RecurringGrantSerializer,
    TopUpConfirmationSerializer,
    TopUpFailureSerializer,
    TopUpRuleSerializer,
    TopUpSerializer,
    TopUpsQuery,
)
from ..selectors.wallets import (
    recurring_grants_for,
    top_up_for,
    top_up_rule_for,
    top_ups_listed,
    wallet_for,
)
from ..services.recurring_grants import recurring_grant_create, recurring_grant_end
from ..services.wallet_top_ups import (
    top_up_rule_set,
    wallet_top_up_confirm,
    wallet_top_up_fail,
    wallet_top_up_request,
)

_WALLET = "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e"
_NO_WALLET = "No wallet 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."
_RULE = {
    "threshold": "10.00",
    "amount": "50.00",
    "cool_off_minutes": 60,
    "monthly_max": "200.00",
    "is_active": True,
}
_TOP_UP = {
    "id": "0195a3c2-b000-7c4b-9d1e-3b5f7a9c1d2e",
    "wallet": _WALLET,
    "status": "PENDING",
    "amount": "50.00",
    "is_automatic": True,
    "requested_at": "2026-03-10T12:00:00Z",
    "closed_at": None,
    "payment_reference": None,
    "failure": "",
    "grant": None,
}
_CLOSED = {**_TOP_UP, "closed_at": "2026-03-11T08:30:00Z"}
_PAID = {
    **_CLOSED,
    "status": "PAID",
    "payment_reference": "transfer-81",
    "grant": "0195a3c2-8000-7c4b-9d1e-3b5f7a9c1d2e",
}
_FAILED = {**_CLOSED, "status": "FAILED", "failure": "The card was declined."}
_NO_TOP_UP = "No wallet top up 0195a3c2-b000-7c4b-9d1e-3b5f7a9c1d2f."
_PAID_ALREADY = "The payment 'transfer-80' has paid this top-up; put another one in as a grant."
_RECURRING = {
    "kind": "PROMO",
    "amount": "100.00",
    "starts_on": "2026-04-01",
    "ends_on": None,
    "is_kept": False,
}
_RECURS = {
    **_RECURRING,
    "id": "0195a3c2-c000-7c4b-9d1e-3b5f7a9c1d2e",
    "wallet": _WALLET,
    "months_given": 0,
    "next_at": "2026-04-01T00:00:00Z",
}


class TopUpRuleView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PUT": "write"}
    queryset = WalletTopUpRule.objects.none()
    serializer_class = TopUpRuleSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Read a wallet's top-up rule",
        responses={200: TopUpRuleSerializer, **problems(not_found="No wallet top up rule.")},
        examples=[
            OpenApiExample(
                "50.00 below 10.00",
                value={**_RULE, "wallet": _WALLET, "retry_at": None},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        tenant = request.user.tenant
        return Response(TopUpRuleSerializer(top_up_rule_for(tenant, wallet_for(tenant, wallet_id))).data)

    @extend_schema(
        tags=["wallets"],
        summary="Set a wallet's top-up rule",
        description="In place of the one it has. Where less than the threshold is available, it asks at once; a payment "
        "confirms what it asks for.",
        request=NewTopUpRuleSerializer,
        responses={
            200: TopUpRuleSerializer,
            **problems(
                "body_unreadable",
                not_found=_NO_WALLET,
                input_invalid="The monthly maximum leaves room for one top-up.",
            ),
        },
        examples=[
            OpenApiExample("50.00 below 10.00", value=_RULE, request_only=True),
            OpenApiExample(
                "50.00 below 10.00",
                value={**_RULE, "wallet": _WALLET, "retry_at": None},
                response_only=True,
            ),
        ],
    )
    def put(self, request: Request, wallet_id: UUID) -> Response:
        rule = top_up_rule_set(
            tenant=request.user.tenant, wallet_id=wallet_id, **asked(NewTopUpRuleSerializer, request)
        )
        return Response(TopUpRuleSerializer(rule).data)


class TopUpsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = WalletTopUp.objects.none()
    serializer_class = TopUpSerializer

    @extend_schema(
        tags=["wallets"],
        summary="List a wallet's top-ups",
        parameters=[TopUpsQuery],
        responses={200: TopUpSerializer(many=True), **problems("input_invalid", not_found=_NO_WALLET)},
        examples=[OpenApiExample("a top-up", value=_TOP_UP, response_only=True)],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        tenant = request.user.tenant
        wallet = wallet_for(tenant, wallet_id)
        page = self.paginate_queryset(top_ups_listed(tenant, wallet, **TopUpsQuery.filters(request)))
        return self.get_paginated_response(TopUpSerializer(page, many=True).data)

    @extend_schema(
        tags=["wallets"],
        summary="Ask for a top-up",
        description="One is in flight at a time. Nothing is in the wallet until a payment confirms it.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewTopUpSerializer,
        responses={
            201: TopUpSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NO_WALLET,
                input_invalid="A top-up is above zero.",
                state_conflict="A top-up of 50.00 USD is pending; confirm or fail it first.",
            ),
        },
        examples=[
            OpenApiExample("fifty", value={"amount": "50.00"}, request_only=True),
            OpenApiExample("fifty", value={**_TOP_UP, "is_automatic": False}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID) -> Response:
        top_up = wallet_top_up_request(
            tenant=request.user.tenant, wallet_id=wallet_id, **asked(NewTopUpSerializer, request)
        )
        return Response(TopUpSerializer(top_up).data, status=201)


class TopUpView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = WalletTopUp.objects.none()
    serializer_class = TopUpSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Read a top-up",
        responses={200: TopUpSerializer, **problems(not_found=_NO_TOP_UP)},
        examples=[OpenApiExample("paid", value=_PAID, response_only=True)],
    )
    def get(self, request: Request, wallet_id: UUID, top_up_id: UUID) -> Response:
        tenant = request.user.tenant
        return Response(TopUpSerializer(top_up_for(tenant, wallet_for(tenant, wallet_id), top_up_id)).data)


class TopUpConfirmView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletTopUp.objects.none()
    serializer_class = TopUpSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Confirm that a top-up is paid",
        description="Its amount is then a CASH grant, booked; told again with the same payment it stays one.",
        parameters=[IDEMPOTENCY_KEY],
        request=TopUpConfirmationSerializer,
        responses={
            200: TopUpSerializer,
            **problems(
                "body_unreadable",
                "input_invalid",
                "idempotency_reused",
                not_found=_NO_TOP_UP,
                state_conflict=_PAID_ALREADY,
                already_exists="There is a wallet top up with the payment_reference 'transfer-81' already.",
            ),
        },
        examples=[
            OpenApiExample("a transfer", value={"payment_reference": "transfer-81"}, request_only=True),
            OpenApiExample("a transfer", value=_PAID, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, top_up_id: UUID) -> Response:
        paid = wallet_top_up_confirm(
            tenant=request.user.tenant,
            wallet_id=wallet_id,
            top_up_id=top_up_id,
            **asked(TopUpConfirmationSerializer, request),
        )
        return Response(TopUpSerializer(paid).data)


class TopUpFailView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletTopUp.objects.none()
    serializer_class = TopUpSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Say that a top-up will not be paid",
        description="The wallet's rule may ask again after its cool-off.",
        parameters=[IDEMPOTENCY_KEY],
        request=TopUpFailureSerializer,
        responses={
            200: TopUpSerializer,
            **problems(
                "body_unreadable",
                "input_invalid",
                "idempotency_reused",
                not_found=_NO_TOP_UP,
                state_conflict=_PAID_ALREADY,
            ),
        },
        examples=[
            OpenApiExample("declined", value={"failure": "The card was declined."}, request_only=True),
            OpenApiExample("declined", value=_FAILED, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, top_up_id: UUID) -> Response:
        failed = wallet_top_up_fail(
            tenant=request.user.tenant,
            wallet_id=wallet_id,
            top_up_id=top_up_id,
            **asked(TopUpFailureSerializer, request),
        )
        return Response(TopUpSerializer(failed).data)


class RecurringGrantsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = RecurringGrant.objects.none()
    serializer_class = RecurringGrantSerializer

    @extend_schema(
        tags=["wallets"],
        summary="List a wallet's recurring grants",
        parameters=[PageQuery],
        responses={
            200: RecurringGrantSerializer(many=True),
            **problems("input_invalid", not_found=_NO_WALLET),
        },
        examples=[OpenApiExample("100.00 a month", value=_RECURS, response_only=True)],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        tenant = request.user.tenant
        PageQuery.filters(request)
        page = self.paginate_queryset(recurring_grants_for(tenant, wallet_for(tenant, wallet_id)))
        return self.get_paginated_response(RecurringGrantSerializer(page, many=True).data)

    @extend_schema(
        tags=["wallets"],
        summary="Give an amount each month",
        description="The first at once where its day has come.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewRecurringGrantSerializer,
        responses={
            201: RecurringGrantSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NO_WALLET,
                input_invalid="starts_on is 2026-03-01; begin today, 2026-03-10, or later.",
            ),
        },
        examples=[
            OpenApiExample("100.00 a month", value=_RECURRING, request_only=True),
            OpenApiExample("100.00 a month", value=_RECURS, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID) -> Response:
        made = recurring_grant_create(
            tenant=request.user.tenant, wallet_id=wallet_id, **asked(NewRecurringGrantSerializer, request)
        )
        return Response(RecurringGrantSerializer(made).data, status=201)


class RecurringGrantEndView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = RecurringGrant.objects.none()
    serializer_class = RecurringGrantSerializer

    @extend_schema(
        tags=["wallets"],
        summary="End a recurring grant",
        description="No month that begins on `ends_on` or later is given; what is given stays.",
        parameters=[IDEMPOTENCY_KEY],
        request=RecurringGrantEndSerializer,
        responses={
            200: RecurringGrantSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No recurring grant 0195a3c2-c000-7c4b-9d1e-3b5f7a9c1d2f.",
                input_invalid="ends_on: The term ends after it starts.",
            ),
        },
        examples=[
            OpenApiExample("after December", value={"ends_on": "2027-01-01"}, request_only=True),
            OpenApiExample("after December", value={**_RECURS, "ends_on": "2027-01-01"}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, recurring_id: UUID) -> Response:
        ended = recurring_grant_end(
            tenant=request.user.tenant,
            wallet_id=wallet_id,
            recurring_id=recurring_id,
            **asked(RecurringGrantEndSerializer, request),
        )
        return Response(RecurringGrantSerializer(ended).data)
