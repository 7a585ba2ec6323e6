"""The change feed over HTTP: how a remote site stays in step."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.kernel.clock import now
from aforo.kernel.periods import instant_text

from ..edge.feed import changes_after
from ..edge.followers import follower_note
from ..selectors.publishing import published_age_ms

LIMIT_MAX = 1_000
VERSION_MAX = 2**63 - 1


class ChangesQuery(serializers.Serializer):
    after = serializers.IntegerField(
        min_value=0,
        max_value=VERSION_MAX,
        default=0,
        help_text="The cursor of the answer before; 0 for everything.",
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=LIMIT_MAX, default=LIMIT_MAX, help_text="Records of one answer."
    )


class ChangesSerializer(serializers.Serializer):
    tenant = serializers.CharField(help_text="Slug and environment, as records name the tenant.")
    records = serializers.ListField(
        child=serializers.DictField(), help_text="In the order of their versions; docs/edge/publishing.md."
    )
    cursor = serializers.IntegerField(help_text="To be given as after.")
    has_more = serializers.BooleanField(help_text="Whether there are records above the cursor already.")
    now = serializers.DateTimeField()
    age_ms = serializers.IntegerField(
        allow_null=True, help_text="Since the publisher last looked for changes; null where it never has."
    )


class ChangesView(APIView):
    scopes: ClassVar = {"GET": "edge"}

    @extend_schema(
        tags=["edge"],
        summary="Follow what the sites of the edge are told",
        description=(
            "All records of the tenant above a version: its policy, its keys, its customers, and what each of them may use. From 0 "
            "on this is a snapshot, one record a thing; what is gone says is_removed. Ask again with the cursor: at once while "
            "has_more, else twice a second."
        ),
        parameters=[ChangesQuery],
        responses={200: ChangesSerializer, **problems("input_invalid")},
        examples=[
            OpenApiExample(
                "a customer's quota",
                value={
                    "tenant": "acme_corp/live",
                    "records": [
                        {
                            "type": "feature",
                            "tenant": "acme_corp/live",
                            "customer": "cust_abc",
                            "feature": "advanced_ai_search",
                            "version": 4711,
                            "as_of_ms": 1773576000000,
                            "kind": "metered",
                            "limit": 1000,
                            "limit_type": "hard",
                            "used": 550,
                        }
                    ],
                    "cursor": 4711,
                    "has_more": False,
                    "now": "2026-03-15T12:00:00Z",
                    "age_ms": 120,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        query = ChangesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked: dict[str, Any] = query.validated_data
        tenant = request.user.tenant
        # The age first: what is read after it is not older.
        age_ms = published_age_ms()
        found = changes_after(asked["after"], asked["limit"] + 1, tenant)
        page = found[: asked["limit"]]
        if len(found) == len(page):
            follower_note(tenant, str(request.user.key_id))
        return Response(
            {
                "tenant": tenant.path,
                "records": msgspec.to_builtins(page),
                "cursor": page[-1].version if page else asked["after"],
                "has_more": len(found) > len(page),
                "now": instant_text(now()),
                "age_ms": age_ms,
            }
        )
