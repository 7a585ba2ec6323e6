"""Features, who has them, and grants over HTTP; what one customer may use, and why."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked
from aforo.kernel.clock import now
from aforo.tenancy.models import Customer
from aforo.tenancy.selectors.rows import found

from ..models import EdgePolicy, Entitlement, Feature, Grant
from ..schemas import (
    CustomerEntitlementsSerializer,
    EdgePolicySerializer,
    EntitlementChangeSerializer,
    EntitlementSerializer,
    EntitlementsQuery,
    FeatureChangeSerializer,
    FeatureGrantSerializer,
    FeatureSerializer,
    FeaturesQuery,
    GrantHistorySerializer,
    GrantsQuery,
    NewEntitlementSerializer,
    NewFeatureGrantSerializer,
    NewFeatureSerializer,
)
from ..selectors.balances import balances_of, grant_balances_of, grant_history_of
from ..selectors.features import (
    edge_policy_for,
    entitlement_for,
    entitlements_for,
    feature_for,
    features_for,
    grant_for,
    grants_for,
)
from ..services.entitlements import entitlement_create, entitlement_edit, entitlement_remove
from ..services.features import edge_policy_set, feature_create, feature_edit
from ..services.grants import grant_create, grant_revoke
from .actor import actor_of

_FEATURE = {
    "code": "advanced_ai_search",
    "name": "Advanced AI search",
    "description": "",
    "kind": "METERED",
    "meter": "api.call",
    "unit": "search",
    "decimal_places": 0,
}
_FEATURE_ANSWER = OpenApiExample(
    "metered",
    value={**_FEATURE, "is_archived": False, "created_at": "2026-03-01T00:00:00Z"},
    response_only=True,
)
_NO_FEATURE = "No feature 'advanced_ai'."
_ENTITLEMENT = {
    "feature": "advanced_ai_search",
    "layer": "PLAN",
    "owner": "pro",
    "limit": "1000",
    "limit_type": "HARD",
    "window": "BILLING",
}
_ENTITLEMENT_ANSWER = OpenApiExample(
    "1,000 searches a billing period",
    value={
        **_ENTITLEMENT,
        "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
        "is_granted": True,
        "value": "",
        "window_unit": "",
        "window_s": None,
        "starts_at": None,
        "ends_at": None,
        "created_at": "2026-03-01T00:00:00Z",
    },
    response_only=True,
)
_NO_ENTITLEMENT = "No entitlement 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."
_WRONG_OWNER = "owner 'por' is no plan of yours."
_GRANT = {"customer": "cust_abc", "feature": "advanced_ai_search", "amount": "500", "reason": "goodwill"}
_RECURRING_GRANT = {
    "customer": "cust_abc",
    "feature": "advanced_ai_search",
    "amount": "500",
    "effective_at": "2026-03-01T00:00:00Z",
    "recurrence": "month",
    "max_rollover": "100",
}
_GRANT_ANSWER = OpenApiExample(
    "500 searches more every month",
    value={
        **_RECURRING_GRANT,
        "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
        "priority": 100,
        "expires_at": None,
        "recurrence_count": 1,
        "min_rollover": "0",
        "reason": "",
        "revoked_at": None,
        "created_at": "2026-03-01T00:00:00Z",
        "balance": "380",
        "next_fill_at": "2026-04-01T00:00:00Z",
    },
    response_only=True,
)
_NO_GRANT = "No grant 0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2f."


class FeaturesView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Feature.objects.none()
    serializer_class = FeatureSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="List features",
        parameters=[FeaturesQuery],
        responses={200: FeatureSerializer(many=True), **problems("input_invalid")},
        examples=[_FEATURE_ANSWER],
    )
    def get(self, request: Request) -> Response:
        rows = features_for(request.user.tenant, **FeaturesQuery.filters(request))
        return self.get_paginated_response(FeatureSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Make a feature",
        parameters=[IDEMPOTENCY_KEY],
        request=NewFeatureSerializer,
        responses={
            201: FeatureSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No meter 'api.cal'.",
                input_invalid="A metered feature has a meter, and the others have none.",
                already_exists="There is a feature with the code 'advanced_ai_search' already.",
            ),
        },
        examples=[OpenApiExample("metered", value=_FEATURE, request_only=True), _FEATURE_ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = feature_create(**actor_of(request), **asked(NewFeatureSerializer, request))
        return Response(FeatureSerializer(made).data, status=201)


class FeatureView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = Feature.objects.none()
    serializer_class = FeatureSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="Read a feature",
        responses={200: FeatureSerializer, **problems(not_found=_NO_FEATURE)},
        examples=[_FEATURE_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(FeatureSerializer(feature_for(request.user.tenant, code)).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Change or archive a feature",
        description="What is left out stays. Kind and decimal places never change, since gateways count by them.",
        request=FeatureChangeSerializer,
        responses={
            200: FeatureSerializer,
            **problems("body_unreadable", "input_invalid", not_found=_NO_FEATURE),
        },
        examples=[OpenApiExample("archive", value={"is_archived": True}, request_only=True), _FEATURE_ANSWER],
    )
    def patch(self, request: Request, code: str) -> Response:
        changed = feature_edit(**actor_of(request), code=code, **asked(FeatureChangeSerializer, request))
        return Response(FeatureSerializer(changed).data)


class EntitlementsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Entitlement.objects.none()
    serializer_class = EntitlementSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="List entitlements",
        parameters=[EntitlementsQuery],
        responses={200: EntitlementSerializer(many=True), **problems("input_invalid")},
        examples=[_ENTITLEMENT_ANSWER],
    )
    def get(self, request: Request) -> Response:
        rows = entitlements_for(request.user.tenant, **EntitlementsQuery.filters(request))
        return self.get_paginated_response(
            EntitlementSerializer(self.paginate_queryset(rows), many=True).data
        )

    @extend_schema(
        tags=["entitlements"],
        summary="Give a feature to a plan, an offering, a contract or a customer",
        description="The highest layer that says anything about a feature decides alone: CUSTOMER over CONTRACT over "
        "OFFERING over PLAN. Gateways know within a second.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewEntitlementSerializer,
        responses={
            201: EntitlementSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found=_NO_FEATURE,
                input_invalid=_WRONG_OWNER,
                already_exists="The owner has an entitlement to the feature from that moment already.",
            ),
        },
        examples=[
            OpenApiExample("1,000 searches a billing period", value=_ENTITLEMENT, request_only=True),
            _ENTITLEMENT_ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = entitlement_create(**actor_of(request), **asked(NewEntitlementSerializer, request))
        return Response(EntitlementSerializer(made).data, status=201)


class EntitlementView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write", "DELETE": "write"}
    queryset = Entitlement.objects.none()
    serializer_class = EntitlementSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="Read an entitlement",
        responses={200: EntitlementSerializer, **problems(not_found=_NO_ENTITLEMENT)},
        examples=[_ENTITLEMENT_ANSWER],
    )
    def get(self, request: Request, entitlement_id: UUID) -> Response:
        return Response(EntitlementSerializer(entitlement_for(request.user.tenant, entitlement_id)).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Change an entitlement, at once",
        description="What is left out stays. For a change at a later moment make another one that starts then.",
        request=EntitlementChangeSerializer,
        responses={
            200: EntitlementSerializer,
            **problems("body_unreadable", "input_invalid", "already_exists", not_found=_NO_ENTITLEMENT),
        },
        examples=[OpenApiExample("more", value={"limit": "2000"}, request_only=True), _ENTITLEMENT_ANSWER],
    )
    def patch(self, request: Request, entitlement_id: UUID) -> Response:
        changed = entitlement_edit(
            **actor_of(request),
            entitlement_id=entitlement_id,
            **asked(EntitlementChangeSerializer, request),
        )
        return Response(EntitlementSerializer(changed).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Remove an entitlement, so that a lower layer decides again",
        responses={204: None, **problems(not_found=_NO_ENTITLEMENT)},
    )
    def delete(self, request: Request, entitlement_id: UUID) -> Response:
        entitlement_remove(**actor_of(request), entitlement_id=entitlement_id)
        return Response(status=204)


class GrantsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Grant.objects.none()
    serializer_class = FeatureGrantSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="List grants",
        parameters=[GrantsQuery],
        responses={200: FeatureGrantSerializer(many=True), **problems("input_invalid")},
        examples=[_GRANT_ANSWER],
    )
    def get(self, request: Request) -> Response:
        tenant = request.user.tenant
        page = self.paginate_queryset(grants_for(tenant, **GrantsQuery.filters(request)))
        balances = grant_balances_of(tenant, page, now())
        return self.get_paginated_response(FeatureGrantSerializer(balances, many=True).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Give a customer units beside its limit",
        description="They are taken by what a window uses beyond the limit: lower priority first, then what expires soonest, "
        "then the oldest. A grant that recurs has its amount again each time, whatever was left; of what is left when the "
        "feature's window turns, max_rollover stays at most.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewFeatureGrantSerializer,
        responses={
            201: FeatureGrantSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                not_found="No customer 'cust_abd'.",
                input_invalid="feature 'sso' is not metered and has no units.",
            ),
        },
        examples=[
            OpenApiExample("500 searches more", value=_GRANT, request_only=True),
            OpenApiExample("500 searches more every month", value=_RECURRING_GRANT, request_only=True),
            _GRANT_ANSWER,
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = grant_create(**actor_of(request), **asked(NewFeatureGrantSerializer, request))
        return Response(_grant_shown(request, made), status=201)


class GrantView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Grant.objects.none()
    serializer_class = FeatureGrantSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="Read a grant",
        responses={200: FeatureGrantSerializer, **problems(not_found=_NO_GRANT)},
        examples=[_GRANT_ANSWER],
    )
    def get(self, request: Request, grant_id: UUID) -> Response:
        return Response(_grant_shown(request, grant_for(request.user.tenant, grant_id)))


class GrantHistoryView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Grant.objects.none()
    serializer_class = GrantHistorySerializer

    @extend_schema(
        tags=["entitlements"],
        summary="What is left of a grant, and which windows took the rest",
        responses={200: GrantHistorySerializer, **problems(not_found=_NO_GRANT)},
        examples=[
            OpenApiExample(
                "120 of 500 taken",
                value={
                    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
                    "balance": "380",
                    "history": [
                        {
                            "window_start": "2026-03-01T00:00:00Z",
                            "window_end": "2026-04-01T00:00:00Z",
                            "taken": "120",
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, grant_id: UUID) -> Response:
        tenant = request.user.tenant
        history = grant_history_of(tenant, grant_for(tenant, grant_id), now())
        return Response(GrantHistorySerializer(history).data)


class GrantRevokeView(GenericAPIView):
    scopes: ClassVar = {"POST": "write"}
    queryset = Grant.objects.none()
    serializer_class = FeatureGrantSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="Take back what is left of a grant",
        description="What windows took stays taken. A second time changes nothing.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: FeatureGrantSerializer, **problems("idempotency_reused", not_found=_NO_GRANT)},
        examples=[_GRANT_ANSWER],
    )
    @idempotent
    def post(self, request: Request, grant_id: UUID) -> Response:
        revoked = grant_revoke(**actor_of(request), grant_id=grant_id)
        return Response(_grant_shown(request, revoked))


def _grant_shown(request: Request, grant: Grant) -> dict[str, Any]:
    (balance,) = grant_balances_of(request.user.tenant, [grant], now())
    return FeatureGrantSerializer(balance).data


class CustomerEntitlementsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Customer.objects.none()
    serializer_class = CustomerEntitlementsSerializer

    @extend_schema(
        tags=["entitlements"],
        summary="What a customer may use, how much is left, and why",
        description="As the store has it now, by billed usage; canAccess decides by the gateway's site, open reservations "
        "included.",
        responses={
            200: CustomerEntitlementsSerializer,
            **problems(not_found="No customer 'cust_abd'."),
        },
        examples=[
            OpenApiExample(
                "550 of 1,000 used",
                value={
                    "customer": "cust_abc",
                    "is_active": True,
                    "plan": "pro",
                    "is_wallet_empty": False,
                    "entitlements": [
                        {
                            "feature": "advanced_ai_search",
                            "kind": "METERED",
                            "layer": "PLAN",
                            "explanation": "1000 from the plan pro",
                            "value": "",
                            "limit": "1000",
                            "limit_type": "hard",
                            "from_grants": "0",
                            "used": "550",
                            "remaining": "450",
                            "window_start": "2026-03-01T00:00:00Z",
                            "reset_at": "2026-04-01T00:00:00Z",
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, external_id: str) -> Response:
        tenant = request.user.tenant
        customer = found(Customer.objects.of(tenant), external_id=external_id)
        return Response(CustomerEntitlementsSerializer(balances_of(tenant, customer, now())).data)


class EdgePolicyView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = EdgePolicy.objects.none()
    serializer_class = EdgePolicySerializer
    _ANSWER: ClassVar[Any] = OpenApiExample(
        "the defaults", value={"on_unknown": "allow", "max_stale_s": 86_400}
    )

    @extend_schema(
        tags=["entitlements"],
        summary="What gateways do where they do not know",
        responses={200: EdgePolicySerializer, **problems()},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        return Response(EdgePolicySerializer(edge_policy_for(request.user.tenant)).data)

    @extend_schema(
        tags=["entitlements"],
        summary="Set what gateways do where they do not know",
        description="What is left out stays.",
        request=EdgePolicySerializer,
        responses={200: EdgePolicySerializer, **problems("body_unreadable", "input_invalid")},
        examples=[_ANSWER],
    )
    def patch(self, request: Request) -> Response:
        changed = edge_policy_set(**actor_of(request), **asked(EdgePolicySerializer, request))
        return Response(EdgePolicySerializer(changed).data)
