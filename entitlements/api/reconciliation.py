"""Reconciliation of the edge over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from redis import RedisError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text

from ..edge.reconciliation import Reconciled, edge_reconcile_page


class ReconciliationQuery(serializers.Serializer):
    customer_id = serializers.CharField(required=False, help_text="external_id of one customer.")
    feature = serializers.CharField(required=False, help_text="Code of one feature.")
    after = serializers.CharField(required=False, help_text="next of the answer before.")
    limit = serializers.IntegerField(
        min_value=1, max_value=100, default=20, help_text="Customers of one answer."
    )


class WindowSerializer(serializers.Serializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class ReconciledSerializer(serializers.Serializer):
    customer_id = serializers.CharField()
    feature = serializers.CharField()
    window = WindowSerializer()
    places = serializers.IntegerField(help_text="Digits after the point that the numbers below have.")
    billed = serializers.IntegerField(help_text="Units by the events.")
    counted = serializers.IntegerField(help_text="Units by the hourly buckets.")
    site = serializers.IntegerField(allow_null=True, help_text="Units as the central site has them.")
    held = serializers.IntegerField(help_text="Units admitted at the central site that are not billed yet.")
    drift = serializers.ListField(
        child=serializers.CharField(), help_text="What does not agree; mostly nothing."
    )


class ReconciliationSerializer(serializers.Serializer):
    data = ReconciledSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="To be given as after; null at the end.")


class ReconciliationView(APIView):
    scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        tags=["edge"],
        summary="Hold the edge's counters against billed usage",
        description=(
            "What the central site counts as used of each metered feature, what the hourly buckets say, and what the events come to, "
            "read one by one. Usage of the last second may be in one and not yet in another; ask again."
        ),
        parameters=[ReconciliationQuery],
        responses={200: ReconciliationSerializer, **problems("input_invalid", "storage_unavailable")},
        examples=[
            OpenApiExample(
                "a counter that says too much",
                value={
                    "data": [
                        {
                            "customer_id": "cust_abc",
                            "feature": "advanced_ai_search",
                            "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
                            "places": 0,
                            "billed": 550,
                            "counted": 550,
                            "site": 557,
                            "held": 0,
                            "drift": ["The site says 557 and the events 550."],
                        }
                    ],
                    "next": None,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        query = ReconciliationQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked: dict[str, Any] = query.validated_data
        try:
            page = edge_reconcile_page(
                request.user.tenant,
                count_max=asked["limit"],
                customer=asked.get("customer_id"),
                feature=asked.get("feature"),
                after=asked.get("after", ""),
            )
        except RedisError:
            raise Problem(
                "storage_unavailable", "The central site's Redis does not answer; ask again in a moment."
            ) from None
        return Response({"data": [_row(one) for one in page.rows], "next": page.next})


def _row(one: Reconciled) -> dict[str, Any]:
    return {
        "customer_id": one.customer,
        "feature": one.feature,
        "window": {"start": instant_text(one.window.start), "end": instant_text(one.window.end)},
        "places": one.places,
        "billed": one.billed,
        "counted": one.counted,
        "site": one.site,
        "held": one.held,
        "drift": list(one.drift),
    }
