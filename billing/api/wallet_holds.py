"""Holds of a wallet over HTTP: set aside before a use, settled or released after it."""

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

from ..models import WalletHold
from ..schemas.wallets import HoldSerializer, HoldSettlementSerializer, HoldsQuery, NewHoldSerializer
from ..selectors.wallets import hold_for, holds_listed, wallet_for
from ..services.wallet_holds import hold_release, hold_settle, wallet_reserve

_HOLD = {
    "id": "0195a3c2-a000-7c4b-9d1e-3b5f7a9c1d2e",
    "wallet": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "reference": "job-7f2a",
    "status": "PENDING",
    "amount": "5.00",
    "settled_amount": "0.00",
    "created_at": "2026-03-10T12:00:00Z",
    "expires_at": "2026-03-10T13:00:00Z",
    "closed_at": None,
}
_SETTLED = {
    **_HOLD,
    "status": "SETTLED",
    "settled_amount": "3.50",
    "closed_at": "2026-03-10T12:04:00Z",
}
_RELEASED = {**_HOLD, "status": "RELEASED", "closed_at": "2026-03-10T12:04:00Z"}
_NOT_FOUND = "No wallet hold 0195a3c2-a000-7c4b-9d1e-3b5f7a9c1d2f."
_ENDED = "The hold 'job-7f2a' is EXPIRED since 2026-03-10T13:00:00Z and holds nothing; reserve again."


class WalletHoldsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = WalletHold.objects.none()
    serializer_class = HoldSerializer

    @extend_schema(
        tags=["wallets"],
        summary="List a wallet's holds",
        parameters=[HoldsQuery],
        responses={
            200: HoldSerializer(many=True),
            **problems("input_invalid", not_found="No wallet 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."),
        },
        examples=[OpenApiExample("a hold", value=_HOLD, response_only=True)],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        tenant = request.user.tenant
        wallet = wallet_for(tenant, wallet_id)
        page = self.paginate_queryset(holds_listed(tenant, wallet, **HoldsQuery.filters(request)))
        return self.get_paginated_response(HoldSerializer(page, many=True).data)

    @extend_schema(
        tags=["wallets"],
        summary="Set money of a wallet aside",
        description="Of many who ask at once, as many are served as there is money for. The reference makes it one hold, "
        "however often it is sent.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewHoldSerializer,
        responses={
            201: HoldSerializer,
            **problems(
                "body_unreadable",
                "input_invalid",
                idempotency_reused="The reference 'job-7f2a' is a hold of 5.00, not of 6.00.",
                not_found="No wallet 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f.",
                wallet_insufficient="5.00 USD are asked for, and 3.00 are available: 30.00 less 27.00 held.",
            ),
        },
        examples=[
            OpenApiExample("a job", value={"amount": "5.00", "reference": "job-7f2a"}, request_only=True),
            OpenApiExample("a job", value=_HOLD, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID) -> Response:
        hold = wallet_reserve(
            tenant=request.user.tenant, wallet_id=wallet_id, **asked(NewHoldSerializer, request)
        )
        return Response(HoldSerializer(hold).data, status=201)


class WalletHoldView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = WalletHold.objects.none()
    serializer_class = HoldSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Read a hold",
        responses={200: HoldSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[OpenApiExample("settled for a part", value=_SETTLED, response_only=True)],
    )
    def get(self, request: Request, wallet_id: UUID, hold_id: UUID) -> Response:
        tenant = request.user.tenant
        return Response(HoldSerializer(hold_for(tenant, wallet_for(tenant, wallet_id), hold_id)).data)


class HoldSettleView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletHold.objects.none()
    serializer_class = HoldSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Burn what a hold sets aside, or a part of it",
        description="Booked as revenue; no invoice bills it. Settled again for the same amount it stays as it is.",
        parameters=[IDEMPOTENCY_KEY],
        request=HoldSettlementSerializer,
        responses={
            200: HoldSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NOT_FOUND,
                input_invalid="amount is 6; the hold is 5.00.",
                state_conflict=_ENDED,
            ),
        },
        examples=[
            OpenApiExample("a part", value={"amount": "3.50"}, request_only=True),
            OpenApiExample("a part", value=_SETTLED, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, hold_id: UUID) -> Response:
        hold = hold_settle(
            tenant=request.user.tenant,
            wallet_id=wallet_id,
            hold_id=hold_id,
            **asked(HoldSettlementSerializer, request),
        )
        return Response(HoldSerializer(hold).data)


class HoldReleaseView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletHold.objects.none()
    serializer_class = HoldSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Let go of what a hold sets aside",
        description="Released again, or after it ran out, it stays as it is.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={
            200: HoldSerializer,
            **problems(
                "idempotency_reused",
                not_found=_NOT_FOUND,
                state_conflict="The hold 'job-7f2a' is settled for 3.50.",
            ),
        },
        examples=[OpenApiExample("a job that failed", value=_RELEASED, response_only=True)],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, hold_id: UUID) -> Response:
        hold = hold_release(tenant=request.user.tenant, wallet_id=wallet_id, hold_id=hold_id)
        return Response(HoldSerializer(hold).data)
