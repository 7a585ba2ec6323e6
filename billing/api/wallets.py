"""Wallets over HTTP; a wallet has no name of its own, so its id is its address."""

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
from aforo.kernel.clock import now

from ..models import Wallet, WalletGrant, WalletMovement
from ..schemas.wallets import (
    GrantLeftSerializer,
    GrantReductionSerializer,
    GrantSerializer,
    MovementSerializer,
    MovementsQuery,
    NewGrantSerializer,
    NewWalletSerializer,
    WalletBalanceSerializer,
    WalletSerializer,
    WalletsQuery,
)
from ..selectors.wallets import movements_until, wallet_balance_at, wallet_for, wallets_listed
from ..services.wallets import grant_reduce, wallet_grant_add, wallet_open

_WALLET = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "customer": "cust_abc",
    "currency": "USD",
}
_GRANT = {
    "id": "0195a3c2-8000-7c4b-9d1e-3b5f7a9c1d2e",
    "kind": "PROMO",
    "amount": "20.00",
    "starts_at": "2026-03-01T00:00:00Z",
    "expires_at": "2026-06-01T00:00:00Z",
    "created_at": "2026-03-01T00:00:00Z",
}
_ANSWER = OpenApiExample("a wallet", value=_WALLET, response_only=True)
_NOT_FOUND = "No wallet 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."


class WalletsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Wallet.objects.none()
    serializer_class = WalletSerializer

    @extend_schema(
        tags=["wallets"],
        summary="List wallets",
        parameters=[WalletsQuery],
        responses={200: WalletSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(wallets_listed(request.user.tenant, **WalletsQuery.filters(request)))
        return self.get_paginated_response(WalletSerializer(page, many=True).data)

    @extend_schema(
        tags=["wallets"],
        summary="Open a customer's wallet of a currency",
        description="There is one for each currency; opening it twice is opening it once.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewWalletSerializer,
        responses={
            200: WalletSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No customer 'cust_abd'.",
                input_invalid="currency: 'USDT' is no ISO 4217 currency code; write one like USD, EUR or JPY.",
            ),
        },
        examples=[
            OpenApiExample("in the customer's currency", value={"customer": "cust_abc"}, request_only=True),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        opened = wallet_open(tenant=request.user.tenant, **asked(NewWalletSerializer, request))
        return Response(WalletSerializer(opened).data)


class WalletView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Wallet.objects.none()
    serializer_class = WalletBalanceSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Read a wallet's balance and grants",
        responses={200: WalletBalanceSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[
            OpenApiExample(
                "5.00 of 20.00 used, 4.00 held",
                value={
                    **_WALLET,
                    "balance": "15.00",
                    "held": "4.00",
                    "available": "11.00",
                    "grants": [{**_GRANT, "left": "15.00", "held": "4.00"}],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        balance = wallet_balance_at(wallet_for(request.user.tenant, wallet_id), now())
        return Response(WalletBalanceSerializer(balance).data)


class WalletGrantsView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletGrant.objects.none()
    serializer_class = GrantSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Put money into a wallet",
        description="And into the books: CASH as paid in, PROMO and BONUS as a discount given.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewGrantSerializer,
        responses={
            201: GrantSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NOT_FOUND,
                input_invalid="amount is 0.001; the least amount of USD is 0.01.",
            ),
        },
        examples=[
            OpenApiExample(
                "a promotion for three months",
                value={"amount": "20", "kind": "PROMO", "expires_at": "2026-06-01T00:00:00Z"},
                request_only=True,
            ),
            OpenApiExample("a promotion for three months", value=_GRANT, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID) -> Response:
        tenant = request.user.tenant
        wallet = wallet_for(tenant, wallet_id)
        added = wallet_grant_add(
            tenant=tenant,
            customer=wallet.customer.external_id,
            currency=wallet.currency,
            **asked(NewGrantSerializer, request),
        )
        return Response(GrantSerializer(added).data, status=201)


class GrantReduceView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = WalletGrant.objects.none()
    serializer_class = GrantLeftSerializer

    @extend_schema(
        tags=["wallets"],
        summary="Take money of a grant back",
        description="The books show the grant's entries the other way round. What is burned or held stays.",
        parameters=[IDEMPOTENCY_KEY],
        request=GrantReductionSerializer,
        responses={
            200: GrantLeftSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No wallet grant 0195a3c2-8000-7c4b-9d1e-3b5f7a9c1d2f.",
                input_invalid="amount is 33.01; 33.00 can be taken back.",
                state_conflict="Nothing of this grant of 50.00 is left to take back; 5.00 are held.",
            ),
        },
        examples=[
            OpenApiExample("a refund", value={"amount": "5.00", "reason": "refund"}, request_only=True),
            OpenApiExample("a refund", value={**_GRANT, "left": "15.00", "held": "0.00"}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, wallet_id: UUID, grant_id: UUID) -> Response:
        reduced = grant_reduce(
            tenant=request.user.tenant,
            wallet_id=wallet_id,
            grant_id=grant_id,
            **asked(GrantReductionSerializer, request),
        )
        return Response(GrantLeftSerializer(reduced).data)


class WalletMovementsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = WalletMovement.objects.none()
    serializer_class = MovementSerializer
    page_ordering = ("-at", "-id")

    @extend_schema(
        tags=["wallets"],
        summary="Read a wallet's statement",
        description="What moved the balance, the latest first, each with the balance after it.",
        parameters=[MovementsQuery],
        responses={200: MovementSerializer(many=True), **problems("input_invalid", not_found=_NOT_FOUND)},
        examples=[
            OpenApiExample(
                "20.00 given, 5.00 paid an invoice",
                value={
                    "id": "0195a3c2-9000-7c4b-9d1e-3b5f7a9c1d2e",
                    "at": "2026-04-02T09:00:00Z",
                    "kind": "INVOICE",
                    "amount": "-5.00",
                    "balance": "15.00",
                    "grant": _GRANT["id"],
                    "grant_kind": "PROMO",
                    "invoice": "INV-000001",
                    "hold": None,
                    "reason": "",
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, wallet_id: UUID) -> Response:
        wallet = wallet_for(request.user.tenant, wallet_id)
        page = self.paginate_queryset(movements_until(wallet, now(), **MovementsQuery.filters(request)))
        return self.get_paginated_response(MovementSerializer(page, many=True).data)
