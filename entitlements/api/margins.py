"""The margin guard over HTTP: policies and their dry run, what units cost, and where customers stand."""

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

from ..models import CostRate, ImportedCost, MarginEvent, MarginPolicy, MarginState
from ..schemas import (
    CostRateEndSerializer,
    CostRateSerializer,
    CostRatesQuery,
    CostsImportedSerializer,
    CostsImportSerializer,
    DryRunRequestSerializer,
    DryRunSerializer,
    ImportedCostSerializer,
    ImportedCostsQuery,
    MarginEventSerializer,
    MarginEventsQuery,
    MarginPoliciesQuery,
    MarginPolicyChangeSerializer,
    MarginPolicySerializer,
    MarginSerializer,
    MarginsQuery,
    NewCostRateSerializer,
    NewMarginPolicySerializer,
)
from ..selectors.margin import (
    cost_rate_for,
    cost_rates_for,
    imported_costs_for,
    margin_events_for,
    margin_for,
    margin_policies_for,
    margin_policy_for,
    margins_for,
)
from ..services.margin_dry_run import margin_dry_run
from ..services.margins import (
    cost_rate_create,
    cost_rate_end,
    costs_import,
    margin_policy_create,
    margin_policy_draft,
    margin_policy_edit,
)
from .actor import actor_of

# So many customers take a second or two; a command looks at all of them.
DRY_RUN_CUSTOMERS_MAX = 50

_POLICY = {
    "code": "standard",
    "name": "Standard",
    "scope": "GLOBAL",
    "owner": "",
    "window": "BILLING",
    "window_days": None,
    "floor_1": "20",
    "floor_2": "10",
    "floor_3": "0",
    "hysteresis": "5",
    "minimum_revenue": "100.00",
    "currency": "USD",
    "mode": "ENFORCE",
    "throttle_percent": 50,
    "downgrades": {"gpt-4o": "gpt-4o-mini"},
    "retry_after_2_s": 60,
    "retry_after_3_s": 1800,
    "is_active": True,
}
_POLICY_ANSWER = OpenApiExample(
    "the usual floors", value={**_POLICY, "created_at": "2026-03-01T00:00:00Z"}, response_only=True
)
_NO_POLICY = "No margin policy 'standart'."
_WRONG_FLOORS = "Each floor lies below the one before: L1 > L2 > L3."
_TAKEN = "There is a margin policy with the code 'standard' already."
_RATE = {
    "meter": "llm.tokens",
    "dimensions": {"model": "gpt-4o"},
    "unit_cost": "0.0000025",
    "currency": "USD",
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": None,
}
_RATE_STORED = {**_RATE, "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e"}
_RATE_ANSWER = OpenApiExample("tokens of one model", value=_RATE_STORED, response_only=True)
_NO_RATE = "No cost rate 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."
_COST = {
    "customer": "cust_abc",
    "on": "2026-03-31",
    "amount": "12.5",
    "currency": "USD",
    "source": "openai",
    "external_key": "2026-03-31/cust_abc",
}
_MARGIN = {
    "customer": "cust_abc",
    "policy": "standard",
    "level": 3,
    "action": "block",
    "revenue": "2000.00",
    "cost": "3200.00",
    "currency": "USD",
    "margin_percent": "-60",
    "window_start": "2026-03-01T00:00:00Z",
    "window_end": "2026-03-20T12:00:00Z",
    "since_at": "2026-03-18T09:30:00Z",
    "evaluated_at": "2026-03-20T12:00:00Z",
    "issue": "",
}
_MARGIN_ANSWER = OpenApiExample("2,000 of revenue, 3,200 of cost", value=_MARGIN, response_only=True)


class MarginPoliciesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = MarginPolicy.objects.none()
    serializer_class = MarginPolicySerializer

    @extend_schema(
        tags=["margins"],
        summary="List margin policies",
        parameters=[MarginPoliciesQuery],
        responses={200: MarginPolicySerializer(many=True), **problems("input_invalid")},
        examples=[_POLICY_ANSWER],
    )
    def get(self, request: Request) -> Response:
        rows = margin_policies_for(request.user.tenant, **MarginPoliciesQuery.filters(request))
        return self.get_paginated_response(
            MarginPolicySerializer(self.paginate_queryset(rows), many=True).data
        )

    @extend_schema(
        tags=["margins"],
        summary="Make a margin policy",
        description="Of several that hold for a customer, its own comes before its plan's, and that before the global one.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewMarginPolicySerializer,
        responses={
            201: MarginPolicySerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No rate plan 'pro'.",
                input_invalid=_WRONG_FLOORS,
                already_exists=_TAKEN,
            ),
        },
        examples=[OpenApiExample("the usual floors", value=_POLICY, request_only=True), _POLICY_ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = margin_policy_create(**actor_of(request), **asked(NewMarginPolicySerializer, request))
        return Response(MarginPolicySerializer(made).data, status=201)


class MarginPolicyView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = MarginPolicy.objects.none()
    serializer_class = MarginPolicySerializer

    @extend_schema(
        tags=["margins"],
        summary="Read a margin policy",
        responses={200: MarginPolicySerializer, **problems(not_found=_NO_POLICY)},
        examples=[_POLICY_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(MarginPolicySerializer(margin_policy_for(request.user.tenant, code)).data)

    @extend_schema(
        tags=["margins"],
        summary="Change a margin policy",
        description="What is left out stays. Customers are judged by it, and the edge told, within seconds.",
        request=MarginPolicyChangeSerializer,
        responses={
            200: MarginPolicySerializer,
            **problems("body_unreadable", not_found=_NO_POLICY, input_invalid=_WRONG_FLOORS),
        },
        examples=[OpenApiExample("enforce", value={"mode": "ENFORCE"}, request_only=True), _POLICY_ANSWER],
    )
    def patch(self, request: Request, code: str) -> Response:
        changed = margin_policy_edit(
            **actor_of(request), code=code, **asked(MarginPolicyChangeSerializer, request)
        )
        return Response(MarginPolicySerializer(changed).data)


class MarginDryRunView(GenericAPIView):
    scopes: ClassVar = {"POST": "read"}
    queryset = MarginPolicy.objects.none()
    serializer_class = DryRunSerializer

    @extend_schema(
        tags=["margins"],
        summary="What a policy would have done over the last days",
        description="Judges each past day as enforcement does, the policy taken as if it were active, with the given changes. "
        "Nothing is kept. The usage is as it was: that less would have come behind a block is not guessed at. "
        f"Up to {DRY_RUN_CUSTOMERS_MAX} customers.",
        request=DryRunRequestSerializer,
        responses={
            200: DryRunSerializer,
            **problems("body_unreadable", not_found=_NO_POLICY, input_invalid=_WRONG_FLOORS),
        },
        examples=[
            OpenApiExample("enforced", value={"days": 30, "changes": {"mode": "ENFORCE"}}, request_only=True),
            OpenApiExample(
                "one customer, one day",
                value={
                    "policy": "standard",
                    "currency": "USD",
                    "customers": [
                        {
                            "customer": "cust_abc",
                            "level_max": 3,
                            "calls": 200,
                            "withheld": 0,
                            "revenue_kept": "2000",
                            "cost_avoided": "0",
                            "days": [
                                {
                                    "on": "2026-03-19",
                                    "level": 3,
                                    "action": "block",
                                    "revenue": "2000",
                                    "cost": "3200",
                                    "margin_percent": "-60",
                                    "calls": 200,
                                    "withheld": 0,
                                    "issue": "",
                                }
                            ],
                        }
                    ],
                    "customers_left": 0,
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request, code: str) -> Response:
        tenant, body = request.user.tenant, asked(DryRunRequestSerializer, request)
        policy = margin_policy_draft(tenant=tenant, code=code, **body.pop("changes", {}))
        run = margin_dry_run(tenant=tenant, policy=policy, count_max=DRY_RUN_CUSTOMERS_MAX, **body)
        return Response(DryRunSerializer(run).data)


class CostRatesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = CostRate.objects.none()
    serializer_class = CostRateSerializer

    @extend_schema(
        tags=["margins"],
        summary="List cost rates",
        parameters=[CostRatesQuery],
        responses={200: CostRateSerializer(many=True), **problems("input_invalid")},
        examples=[_RATE_ANSWER],
    )
    def get(self, request: Request) -> Response:
        rows = cost_rates_for(request.user.tenant, **CostRatesQuery.filters(request))
        return self.get_paginated_response(CostRateSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(
        tags=["margins"],
        summary="Say what a unit of a meter costs",
        parameters=[IDEMPOTENCY_KEY],
        request=NewCostRateSerializer,
        responses={
            201: CostRateSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No meter 'llm.token'.",
                already_exists="There is a cost rate with these values already.",
                input_invalid="dimensions names color; llm.tokens keeps: model.",
            ),
        },
        examples=[OpenApiExample("tokens of one model", value=_RATE, request_only=True), _RATE_ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = cost_rate_create(**actor_of(request), **asked(NewCostRateSerializer, request))
        return Response(CostRateSerializer(made).data, status=201)


class CostRateView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = CostRate.objects.none()
    serializer_class = CostRateSerializer

    @extend_schema(
        tags=["margins"],
        summary="Read a cost rate",
        responses={200: CostRateSerializer, **problems(not_found=_NO_RATE)},
        examples=[_RATE_ANSWER],
    )
    def get(self, request: Request, rate_id: UUID) -> Response:
        return Response(CostRateSerializer(cost_rate_for(request.user.tenant, rate_id)).data)


class CostRateEndView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = CostRate.objects.none()
    serializer_class = CostRateSerializer

    @extend_schema(
        tags=["margins"],
        summary="End a cost rate, so that another can follow",
        parameters=[IDEMPOTENCY_KEY],
        request=CostRateEndSerializer,
        responses={
            200: CostRateSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NO_RATE,
                input_invalid="The end lies after the start.",
            ),
        },
        examples=[
            OpenApiExample("from July on", value={"ends_at": "2026-07-01T00:00:00Z"}, request_only=True),
            OpenApiExample(
                "ended", value={**_RATE_STORED, "ends_at": "2026-07-01T00:00:00Z"}, response_only=True
            ),
        ],
    )
    @idempotent
    def post(self, request: Request, rate_id: UUID) -> Response:
        ended = cost_rate_end(**actor_of(request), rate_id=rate_id, **asked(CostRateEndSerializer, request))
        return Response(CostRateSerializer(ended).data)


class ImportedCostsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = ImportedCost.objects.none()
    serializer_class = ImportedCostSerializer

    @extend_schema(
        tags=["margins"],
        summary="List imported costs",
        parameters=[ImportedCostsQuery],
        responses={200: ImportedCostSerializer(many=True), **problems("input_invalid")},
        examples=[OpenApiExample("a day at a model provider", value=_COST, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        rows = imported_costs_for(request.user.tenant, **ImportedCostsQuery.filters(request))
        return self.get_paginated_response(
            ImportedCostSerializer(self.paginate_queryset(rows), many=True).data
        )

    @extend_schema(
        tags=["margins"],
        summary="Import costs from elsewhere",
        description="All of them or none. A figure (source and external_key) that is sent again counts once, with what was "
        "said last; so there is no need for an idempotency key.",
        request=CostsImportSerializer,
        responses={
            200: CostsImportedSerializer,
            **problems("body_unreadable", input_invalid="customer 'cust_abd' is no customer."),
        },
        examples=[
            OpenApiExample("a day at a model provider", value={"costs": [_COST]}, request_only=True),
            OpenApiExample("taken over", value={"added": 1, "changed": 0, "same": 0}, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        done = costs_import(**actor_of(request), rows=asked(CostsImportSerializer, request)["costs"])
        return Response(CostsImportedSerializer(done).data)


class MarginsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = MarginState.objects.none()
    serializer_class = MarginSerializer

    @extend_schema(
        tags=["margins"],
        summary="Where customers stand: revenue, cost, margin and level",
        parameters=[MarginsQuery],
        responses={200: MarginSerializer(many=True), **problems("input_invalid")},
        examples=[_MARGIN_ANSWER],
    )
    def get(self, request: Request) -> Response:
        rows = margins_for(request.user.tenant, **MarginsQuery.filters(request))
        return self.get_paginated_response(MarginSerializer(self.paginate_queryset(rows), many=True).data)


class MarginView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = MarginState.objects.none()
    serializer_class = MarginSerializer

    @extend_schema(
        tags=["margins"],
        summary="Where one customer stands",
        responses={200: MarginSerializer, **problems(not_found="No margin 'cust_abd'.")},
        examples=[_MARGIN_ANSWER],
    )
    def get(self, request: Request, external_id: str) -> Response:
        return Response(MarginSerializer(margin_for(request.user.tenant, external_id)).data)


class MarginEventsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = MarginEvent.objects.none()
    serializer_class = MarginEventSerializer
    page_ordering = ("-id",)

    @extend_schema(
        tags=["margins"],
        summary="What the guard has done: trips, enforcements, releases",
        description="The latest first.",
        parameters=[MarginEventsQuery],
        responses={200: MarginEventSerializer(many=True), **problems("input_invalid")},
    )
    def get(self, request: Request) -> Response:
        rows = margin_events_for(request.user.tenant, **MarginEventsQuery.filters(request))
        return self.get_paginated_response(
            MarginEventSerializer(self.paginate_queryset(rows), many=True).data
        )
