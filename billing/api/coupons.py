"""Coupons over HTTP, named by their code."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import PageQuery, asked

from ..models import Coupon
from ..schemas.coupons import AttachSerializer, CouponSerializer, NewCouponSerializer, RedemptionSerializer
from ..selectors.coupons import coupon_for, coupons_for
from ..services.coupons import coupon_attach, coupon_create

_COUPON = {
    "code": "welcome",
    "name": "Welcome",
    "kind": "PERCENTAGE",
    "percent": "5",
    "amount": None,
    "currency": "USD",
    "duration": "REPEATING",
    "duration_periods": 3,
    "redemptions_max": 1000,
    "redemptions_max_per_customer": 1,
}
_ANSWER = OpenApiExample(
    "5 % for three periods", value={**_COUPON, "redemption_count": 0}, response_only=True
)
_NOT_FOUND = "No coupon 'welcom'."


class CouponsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Coupon.objects.none()
    serializer_class = CouponSerializer

    @extend_schema(
        tags=["coupons"],
        summary="List coupons",
        parameters=[PageQuery],
        responses={200: CouponSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(coupons_for(request.user.tenant).filter(**PageQuery.filters(request)))
        return self.get_paginated_response(CouponSerializer(page, many=True).data)

    @extend_schema(
        tags=["coupons"],
        summary="Make a coupon",
        parameters=[IDEMPOTENCY_KEY],
        request=NewCouponSerializer,
        responses={
            201: CouponSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="A percentage coupon has a percent up to 100, a fixed one an amount.",
                already_exists="There is a coupon with the code 'welcome' already.",
            ),
        },
        examples=[OpenApiExample("5 % for three periods", value=_COUPON, request_only=True), _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = coupon_create(tenant=request.user.tenant, **asked(NewCouponSerializer, request))
        return Response(CouponSerializer(made).data, status=201)


class CouponView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Coupon.objects.none()
    serializer_class = CouponSerializer

    @extend_schema(
        tags=["coupons"],
        summary="Read a coupon",
        responses={200: CouponSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(CouponSerializer(coupon_for(request.user.tenant, code)).data)


class CouponAttachView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Coupon.objects.none()
    serializer_class = RedemptionSerializer

    @extend_schema(
        tags=["coupons"],
        summary="Attach a coupon to a subscription",
        description="Counts from the first period that is not invoiced yet. Attaching twice is attaching once.",
        parameters=[IDEMPOTENCY_KEY],
        request=AttachSerializer,
        responses={
            200: RedemptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="currency is EUR, but the subscription 'sub-1' is in USD.",
                not_found=_NOT_FOUND,
                state_conflict="The coupon 'welcome' is used up: 1000 of 1000.",
            ),
        },
        examples=[
            OpenApiExample("to sub-1", value={"subscription": "sub-1"}, request_only=True),
            OpenApiExample(
                "attached",
                value={
                    "coupon": "welcome",
                    "subscription": "sub-1",
                    "redeemed_at": "2026-03-15T12:00:00Z",
                },
                response_only=True,
            ),
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        redemption = coupon_attach(
            tenant=request.user.tenant, coupon=code, **asked(AttachSerializer, request)
        )
        return Response(RedemptionSerializer(redemption).data)
