"""Rate plans over HTTP: a plan by its code, a version by its number."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..documents.version_diff import version_diff
from ..models import RatePlan, RatePlanVersion
from ..schemas.rate_plans import (
    NewRatePlanSerializer,
    NewVersionSerializer,
    RatePlanSerializer,
    RatePlansQuery,
    VersionChangeSerializer,
    VersionDiffQuery,
    VersionDiffSerializer,
    VersionSerializer,
)
from ..selectors.catalog import rate_plan_in_full, rate_plans_listed, version_before, version_for
from ..services.catalog import (
    rate_plan_draft,
    version_archive,
    version_draft,
    version_publish,
    version_replace,
)

_BASE = {"code": "base", "name": "Base fee", "kind": "FEE", "model": "FLAT_RATE", "amount": "49.09"}
_INPUT = {
    "code": "input",
    "name": "Input tokens",
    "model": "GRADUATED",
    "meter": "llm.input_tokens",
    "tiers": [
        {"up_to": "10000000", "unit_price": "0.0000025"},
        {"up_to": None, "unit_price": "0.000002"},
    ],
}
_NO_COLUMNS = dict.fromkeys(
    (
        "meter",
        "unit_price",
        "amount",
        "percent",
        "fixed_fee",
        "minimum_fee",
        "block_size",
        "package_size",
        "package_price",
        "multiplier",
        "minimum_amount",
        "maximum_amount",
        "quota_units",
        "rollover_percent",
        "rollover_units_max",
        "rollover_periods",
    )
)
_REST = {
    **_NO_COLUMNS,
    "kind": "USAGE",
    "dimension_filters": {},
    "tiers": [],
    "minimum_without_transactions": True,
    "included_units": "0",
    "rate_basis": "",
    "over_quota": "CHARGE",
}
_VERSION = {
    "number": 1,
    "status": "DRAFT",
    "proration": "day",
    "created_at": "2026-03-01T00:00:00Z",
    "published_at": None,
    "charges": [
        {**_REST, **_BASE},
        {
            **_REST,
            **_INPUT,
            "tiers": [{**tier, "percent": "0", "flat_fee": "0", "cap": None} for tier in _INPUT["tiers"]],
        },
    ],
}
_PUBLISHED = {**_VERSION, "status": "PUBLISHED", "published_at": "2026-03-02T00:00:00Z"}
_PLAN = {
    "code": "llm-payg",
    "name": "Pay as you go",
    "product": "llm",
    "currency": "USD",
    "versions": [_VERSION],
}
_ANSWER = OpenApiExample("a draft", value=_PLAN, response_only=True)
_VERSION_ANSWER = OpenApiExample("a draft", value=_VERSION, response_only=True)
_PUBLISHED_ANSWER = OpenApiExample("published", value=_PUBLISHED, response_only=True)
_CHARGES_ASKED = OpenApiExample(
    "a fee and tiers", value={"proration": "day", "charges": [_BASE, _INPUT]}, request_only=True
)
_NOT_FOUND = "No rate plan 'llm-pyag'."
_VERSION_NOT_FOUND = "No rate plan version 3."
_INVALID = "The charge 'input': tiers[1].up_to is not above the tier before it, 10000000."
_NO_DRAFT = "Version 1 of 'llm-payg' is published and never changes; make a new version."


class RatePlansView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = RatePlan.objects.none()
    serializer_class = RatePlanSerializer

    @extend_schema(
        tags=["catalog"],
        summary="List rate plans with versions, charges and tiers",
        parameters=[RatePlansQuery],
        responses={200: RatePlanSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        plans = rate_plans_listed(request.user.tenant, **RatePlansQuery.filters(request))
        page = self.paginate_queryset(plans)
        return self.get_paginated_response(RatePlanSerializer(page, many=True).data)

    @extend_schema(
        tags=["catalog"],
        summary="Make a rate plan with its version 1, a draft",
        parameters=[IDEMPOTENCY_KEY],
        request=NewRatePlanSerializer,
        responses={
            201: RatePlanSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid=_INVALID,
                not_found="No meter 'llm.input_token'.",
                already_exists="There is a rate plan with the code 'llm-payg' already.",
            ),
        },
        examples=[
            OpenApiExample(
                "a fee and tiers",
                value={
                    "product": "llm",
                    "code": "llm-payg",
                    "name": "Pay as you go",
                    "charges": [_BASE, _INPUT],
                },
                request_only=True,
            ),
            _ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        tenant = request.user.tenant
        draft = rate_plan_draft(tenant=tenant, **asked(NewRatePlanSerializer, request))
        return Response(RatePlanSerializer(rate_plan_in_full(tenant, draft.plan.code)).data, status=201)


class RatePlanView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = RatePlan.objects.none()
    serializer_class = RatePlanSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Read a rate plan with versions, charges and tiers",
        responses={200: RatePlanSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(RatePlanSerializer(rate_plan_in_full(request.user.tenant, code)).data)


class VersionsView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = RatePlanVersion.objects.none()
    serializer_class = VersionSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Make the plan's next version, a draft",
        description="A copy of the newest published version, or with the charges given. A plan has one draft at a time.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewVersionSerializer,
        responses={
            201: VersionSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid=_INVALID,
                not_found=_NOT_FOUND,
                state_conflict="Version 2 is still a draft; change or publish it.",
            ),
        },
        examples=[OpenApiExample("a copy", value={}, request_only=True), _CHARGES_ASKED, _VERSION_ANSWER],
    )
    @idempotent
    def post(self, request: Request, code: str) -> Response:
        tenant = request.user.tenant
        draft = version_draft(tenant=tenant, plan=code, **asked(NewVersionSerializer, request))
        return Response(VersionSerializer(version_for(tenant, code, draft.number)).data, status=201)


class VersionView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PUT": "write"}
    queryset = RatePlanVersion.objects.none()
    serializer_class = VersionSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Read a version",
        responses={200: VersionSerializer, **problems(not_found=_VERSION_NOT_FOUND)},
        examples=[_PUBLISHED_ANSWER],
    )
    def get(self, request: Request, code: str, number: int) -> Response:
        return Response(VersionSerializer(version_for(request.user.tenant, code, number)).data)

    @extend_schema(
        tags=["catalog"],
        summary="Give a draft these charges instead of those it has",
        request=VersionChangeSerializer,
        responses={
            200: VersionSerializer,
            **problems(
                "body_unreadable",
                input_invalid=_INVALID,
                not_found=_VERSION_NOT_FOUND,
                state_conflict=_NO_DRAFT,
                already_exists="There is a charge with the version 'Pay as you go v1 (draft)', code 'base' already.",
            ),
        },
        examples=[_CHARGES_ASKED, _VERSION_ANSWER],
    )
    def put(self, request: Request, code: str, number: int) -> Response:
        version = version_replace(
            tenant=request.user.tenant, plan=code, version=number, **asked(VersionChangeSerializer, request)
        )
        return Response(VersionSerializer(version).data)


class VersionPublishView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = RatePlanVersion.objects.none()
    serializer_class = VersionSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Publish a draft",
        description="It can be sold from now on, never changes again, and the meters it prices keep their aggregation.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={
            200: VersionSerializer,
            **problems(
                "idempotency_reused",
                input_invalid="charges is empty; a published version has at least one.",
                not_found=_VERSION_NOT_FOUND,
                state_conflict=_NO_DRAFT,
            ),
        },
        examples=[_PUBLISHED_ANSWER],
    )
    @idempotent
    def post(self, request: Request, code: str, number: int) -> Response:
        tenant = request.user.tenant
        version_publish(tenant=tenant, plan=code, version=number)
        return Response(VersionSerializer(version_for(tenant, code, number)).data)


class VersionArchiveView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = RatePlanVersion.objects.none()
    serializer_class = VersionSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Sell a published version no more",
        description="Its subscriptions keep it. Archiving twice is archiving once.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={
            200: VersionSerializer,
            **problems(
                "idempotency_reused",
                not_found=_VERSION_NOT_FOUND,
                state_conflict="Version 2 is a draft; only a published one is archived.",
            ),
        },
        examples=[OpenApiExample("archived", value={**_PUBLISHED, "status": "ARCHIVED"}, response_only=True)],
    )
    @idempotent
    def post(self, request: Request, code: str, number: int) -> Response:
        tenant = request.user.tenant
        version_archive(tenant=tenant, plan=code, version=number)
        return Response(VersionSerializer(version_for(tenant, code, number)).data)


class VersionDiffView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = RatePlanVersion.objects.none()
    serializer_class = VersionDiffSerializer

    @extend_schema(
        tags=["catalog"],
        summary="What a version changes",
        description="Each charge that is added, removed or has other terms, in words; against the version before it, or another one.",
        parameters=[VersionDiffQuery],
        responses={
            200: VersionDiffSerializer,
            **problems("input_invalid", not_found=_VERSION_NOT_FOUND),
        },
        examples=[
            OpenApiExample(
                "a lower price",
                value={
                    "number": 2,
                    "against": 1,
                    "charges": [
                        {
                            "code": "input",
                            "name": "Input tokens",
                            "change": "CHANGED",
                            "sentence": "Input tokens: tier up to 10,000,000: 0.0000025 → 0.000002",
                            "terms": [
                                {"term": "tier up to 10,000,000", "before": "0.0000025", "after": "0.000002"}
                            ],
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, code: str, number: int) -> Response:
        tenant = request.user.tenant
        query = VersionDiffQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        version, against = version_for(tenant, code, number), query.validated_data.get("against")
        other = version_before(version) if against is None else version_for(tenant, code, against)
        answer = {
            "number": version.number,
            "against": other.number if other else None,
            "charges": version_diff(other, version),
        }
        return Response(VersionDiffSerializer(answer).data)
