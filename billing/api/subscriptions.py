"""Subscriptions over HTTP, named by their code."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked
from aforo.kernel.periods import instant_text

from ..documents.bodies import amount_text
from ..models import Subscription
from ..schemas.subscriptions import (
    AddOnSerializer,
    CancellationSerializer,
    ChangedInvoiceSerializer,
    ChangePreviewSerializer,
    ChangeSerializer,
    MoveSerializer,
    NewSubscriptionSerializer,
    PeriodsQuery,
    PeriodsSerializer,
    RemovalSerializer,
    SubscriptionSerializer,
    SubscriptionsQuery,
)
from ..selectors.subscriptions import subscription_for, subscription_periods, subscriptions_listed
from ..services.subscription_items import subscription_add, subscription_change, subscription_remove
from ..services.subscription_previews import ChangePreview, subscription_change_preview
from ..services.subscriptions import subscription_cancel, subscription_create, subscription_move

_SUBSCRIPTION = {
    "code": "sub-1",
    "customer": "cust_abc",
    "offering": "llm",
    "currency": "USD",
    "state": "ACTIVE",
    "starts_at": "2026-02-28T18:30:00Z",
    "ends_at": None,
    "interval": "month",
    "anchor_on": "2026-03-01",
    "items": [
        {
            "offering": "llm",
            "plan": "llm-payg",
            "version": 1,
            "quantity": "1",
            "starts_at": "2026-02-28T18:30:00Z",
            "ends_at": None,
            "trial_ends_at": None,
        }
    ],
    "coupons": ["welcome"],
    "phases": [
        {"before": "", "after": "ACTIVE", "reason": "created", "moved_at": "2026-03-01T09:00:00Z"},
    ],
    "created_at": "2026-03-01T09:00:00Z",
}
_ANSWER = OpenApiExample("in Kolkata", value=_SUBSCRIPTION, response_only=True)
_NOT_FOUND = "No subscription 'sub-9'."


class SubscriptionsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="List subscriptions",
        parameters=[SubscriptionsQuery],
        responses={200: SubscriptionSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        subscriptions = subscriptions_listed(request.user.tenant, **SubscriptionsQuery.filters(request))
        page = self.paginate_queryset(subscriptions)
        return self.get_paginated_response(SubscriptionSerializer(page, many=True).data)

    @extend_schema(
        tags=["subscriptions"],
        summary="Put a customer on an offering",
        description="The versions are pinned: what is published later does not change them. Periods are the offering's "
        "months, quarters or years, cut at midnight in the customer's zone.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewSubscriptionSerializer,
        responses={
            201: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="currency is USD, but the customer 'cust_abc' is in EUR.",
                not_found="No offering 'lmm'.",
                state_conflict="The rate plan 'llm-payg' has no published version.",
                already_exists="There is a subscription with the code 'sub-1' already.",
            ),
        },
        examples=[
            OpenApiExample(
                "from a day on, by calendar months",
                value={
                    "code": "sub-1",
                    "customer": "cust_abc",
                    "offering": "llm",
                    "starts_on": "2026-03-01",
                    "anchor_on": "2026-03-01",
                },
                request_only=True,
            ),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = subscription_create(tenant=request.user.tenant, **asked(NewSubscriptionSerializer, request))
        return Response(SubscriptionSerializer(made).data, status=201)


class SubscriptionView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Read a subscription with its coupons and phases",
        responses={200: SubscriptionSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(SubscriptionSerializer(subscription_for(request.user.tenant, code)).data)


class SubscriptionMoveView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Move a subscription's state",
        description="Along the legal moves; each writes a phase that is never edited. EXPIRED and CANCELLED end it. PAUSED "
        "closes what it holds, ACTIVE after it opens the same again, and nothing in between is billed.",
        parameters=[IDEMPOTENCY_KEY],
        request=MoveSerializer,
        responses={
            200: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="at is in the future: 2026-04-01T00:00:00Z.",
                not_found=_NOT_FOUND,
                state_conflict="A subscription that is CANCELLED does not become ACTIVE; legal moves: none.",
            ),
        },
        examples=[
            OpenApiExample("pause", value={"to": "PAUSED", "reason": "asked to"}, request_only=True),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        moved = subscription_move(tenant=request.user.tenant, code=code, **asked(MoveSerializer, request))
        return Response(SubscriptionSerializer(moved).data)


class SubscriptionChangeView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Change what a subscription holds",
        description="Another plan, version or quantity from an instant on; fees are billed by their share of the period. "
        "What was to change later of the same plan is given up.",
        parameters=[IDEMPOTENCY_KEY],
        request=ChangeSerializer,
        responses={
            200: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="plan is missing; the subscription holds llm-payg, support.",
                not_found=_NOT_FOUND,
                state_conflict="Invoice INV-000001 bills the subscription until 2026-04-01T00:00:00Z; change it then or "
                "later.",
            ),
        },
        examples=[
            OpenApiExample("upgrade", value={"to_plan": "llm-pro"}, request_only=True),
            OpenApiExample(
                "five seats from the next period on",
                value={"quantity": "5", "at_period_end": True},
                request_only=True,
            ),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        changed = subscription_change(
            tenant=request.user.tenant, code=code, **asked(ChangeSerializer, request)
        )
        return Response(SubscriptionSerializer(changed).data)


class SubscriptionAddView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Add an add-on to a subscription",
        description="It is billed on the same invoice, with a setup fee and a trial of its own.",
        parameters=[IDEMPOTENCY_KEY],
        request=AddOnSerializer,
        responses={
            200: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="offering 'llm' is no add-on; a subscription of its own is made for it.",
                not_found=_NOT_FOUND,
                state_conflict="The subscription 'sub-1' holds 'support' already; change it instead.",
            ),
        },
        examples=[
            OpenApiExample("support", value={"offering": "support"}, request_only=True),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        row = subscription_add(tenant=request.user.tenant, code=code, **asked(AddOnSerializer, request))
        return Response(SubscriptionSerializer(row).data)


class SubscriptionRemoveView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Remove an add-on from a subscription",
        description="It is billed until then.",
        parameters=[IDEMPOTENCY_KEY],
        request=RemovalSerializer,
        responses={
            200: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="offering 'llm' is no add-on; cancel the subscription instead.",
                not_found=_NOT_FOUND,
                state_conflict="The subscription 'sub-1' does not hold 'support' at 2026-04-01T00:00:00Z.",
            ),
        },
        examples=[
            OpenApiExample(
                "support, at the end of the period",
                value={"offering": "support", "at_period_end": True},
                request_only=True,
            ),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        row = subscription_remove(tenant=request.user.tenant, code=code, **asked(RemovalSerializer, request))
        return Response(SubscriptionSerializer(row).data)


class SubscriptionCancelView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="End a subscription at an instant",
        description="It is billed until then. Before its start it never ran; in the future its state follows then, and "
        "another instant may be named until it has come.",
        parameters=[IDEMPOTENCY_KEY],
        request=CancellationSerializer,
        responses={
            200: SubscriptionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                "input_invalid",
                not_found=_NOT_FOUND,
                state_conflict="Invoice INV-000001 bills the subscription until 2026-04-01T00:00:00Z; end it then or "
                "later.",
            ),
        },
        examples=[
            OpenApiExample("at the end of March", value={"at": "2026-03-31T18:30:00Z"}, request_only=True),
            OpenApiExample(
                "ending",
                value={**_SUBSCRIPTION, "ends_at": "2026-03-31T18:30:00Z"},
                response_only=True,
            ),
        ],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        ended = subscription_cancel(
            tenant=request.user.tenant, code=code, **asked(CancellationSerializer, request)
        )
        return Response(SubscriptionSerializer(ended).data)


_SERVICES: dict[str, Callable[..., Subscription]] = {
    "change": subscription_change,
    "add": subscription_add,
    "remove": subscription_remove,
    "move": subscription_move,
    "cancel": subscription_cancel,
}


class SubscriptionPreviewView(GenericAPIView):
    scopes: ClassVar = {"POST": "read"}
    queryset = Subscription.objects.none()
    serializer_class = ChangedInvoiceSerializer

    @extend_schema(
        tags=["subscriptions"],
        summary="Preview a change",
        description="The invoice of the period in which it takes effect, without it and with it, by line. Nothing is kept.",
        request=ChangePreviewSerializer,
        responses={
            200: ChangedInvoiceSerializer,
            **problems(
                "body_unreadable",
                input_invalid="Give one of change, add, remove, move and cancel.",
                not_found=_NOT_FOUND,
                state_conflict="Invoice INV-000001 bills the subscription until 2026-04-01T00:00:00Z; change it then or "
                "later.",
            ),
        },
        examples=[
            OpenApiExample("upgrade", value={"change": {"to_plan": "pro"}}, request_only=True),
            OpenApiExample(
                "upgrade",
                value={
                    "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
                    "currency": "USD",
                    "before": "31.00",
                    "after": "47.00",
                    "lines": [
                        {
                            "kind": "PRORATION",
                            "code": "base",
                            "description": "Base fee (16 of 31 days)",
                            "before": "0.00",
                            "after": "32.00",
                        }
                    ],
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request, code: str) -> Response:
        tenant = request.user.tenant
        ((name, fields),) = asked(ChangePreviewSerializer, request).items()
        preview = subscription_change_preview(
            tenant=tenant,
            code=code,
            change=lambda: _SERVICES[name](tenant=tenant, code=code, **fields),
            at=fields.get("at"),
            is_at_period_end=fields.get("is_at_period_end", False),
        )
        return Response(_preview_body(preview))


def _preview_body(preview: ChangePreview) -> dict[str, Any]:
    def text(amount: Decimal) -> str:
        return amount_text(amount, preview.currency)

    return {
        "period": {"start": instant_text(preview.period.start), "end": instant_text(preview.period.end)},
        "currency": preview.currency,
        "before": text(preview.before),
        "after": text(preview.after),
        "lines": [
            {
                "kind": line.kind,
                "code": line.code,
                "description": line.description,
                "before": text(line.before),
                "after": text(line.after),
            }
            for line in preview.lines
        ],
    }


class SubscriptionPeriodsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Subscription.objects.none()
    serializer_class = PeriodsSerializer
    pagination_class = None

    @extend_schema(
        tags=["subscriptions"],
        summary="A subscription's periods",
        description="From its first, or from the one that holds `start`; none follow its end.",
        parameters=[PeriodsQuery],
        responses={200: PeriodsSerializer, **problems("input_invalid", not_found=_NOT_FOUND)},
        examples=[
            OpenApiExample(
                "the first, cut at the start",
                value={
                    "data": [
                        {
                            "cycle": {"start": "2026-02-28T18:30:00Z", "end": "2026-03-31T18:30:00Z"},
                            "billed": {"start": "2026-03-09T18:30:00Z", "end": "2026-03-31T18:30:00Z"},
                        }
                    ]
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, code: str) -> Response:
        query = PeriodsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        limit = query.validated_data.pop("limit")
        subscription = subscription_for(request.user.tenant, code)
        periods = islice(subscription_periods(subscription, **query.validated_data), limit)
        return Response(PeriodsSerializer({"data": periods}).data)
