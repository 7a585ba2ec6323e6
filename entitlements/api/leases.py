"""Leases over HTTP: a remote site asks for units of hard quotas, and gives back what it does not need."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems

from ..renewals import LeaseRequest
from ..services.leases import leases_renew

REQUESTS_MAX = 500
UNITS_MAX = 2**53


class LeaseRequestSerializer(serializers.Serializer):
    customer = serializers.CharField(max_length=255)
    feature = serializers.CharField(max_length=64)
    have = serializers.IntegerField(
        min_value=0, max_value=UNITS_MAX, help_text="Units granted so far, as the site knows."
    )
    returned = serializers.IntegerField(
        min_value=0, max_value=UNITS_MAX, help_text="Units that the site has given back in all."
    )
    lease = serializers.IntegerField(
        min_value=1, required=False, allow_null=True, help_text="Of whose numbers it speaks."
    )


class LeasesQuery(serializers.Serializer):
    edge = serializers.CharField(max_length=64, help_text="The site's own name.")
    epoch = serializers.CharField(max_length=64, help_text="Names this life of its memory.")
    leases = LeaseRequestSerializer(many=True)

    def validate_leases(self, leases: list[dict[str, object]]) -> list[dict[str, object]]:
        if len(leases) > REQUESTS_MAX:
            raise serializers.ValidationError(f"Up to {REQUESTS_MAX} leases are renewed at once.")
        return leases


class LeaseTotalsSerializer(serializers.Serializer):
    lease = serializers.IntegerField()
    edge = serializers.CharField()
    epoch = serializers.CharField()
    granted = serializers.IntegerField(help_text="Units handed out so far.")
    settled = serializers.IntegerField(help_text="Of them, units that are billed usage by now.")
    has_more = serializers.BooleanField(help_text="Whether there are units that the site does not have.")
    is_recalled = serializers.BooleanField(help_text="Another site wants what this one does not need.")


class LeaseReplySerializer(serializers.Serializer):
    customer = serializers.CharField()
    feature = serializers.CharField()
    window_start_ms = serializers.IntegerField(allow_null=True)
    lease = LeaseTotalsSerializer(allow_null=True, help_text="Null where the feature has no hard limit.")


class LeasesSerializer(serializers.Serializer):
    leases = LeaseReplySerializer(many=True)


class LeasesView(APIView):
    scopes: ClassVar = {"POST": "edge"}

    @extend_schema(
        operation_id="v1_edge_leases",
        tags=["edge"],
        summary="Renew leases of hard quotas",
        description=(
            "A site admits reservations of a hard limit only from its lease, so that no number of sites admits more than there "
            "is. All numbers are totals: a request may be repeated, and an answer may be lost."
        ),
        request=LeasesQuery,
        responses={200: LeasesSerializer, **problems("input_invalid")},
    )
    def post(self, request: Request) -> Response:
        query = LeasesQuery(data=request.data)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        replies = leases_renew(
            tenant=request.user.tenant,
            edge=asked["edge"],
            epoch=asked["epoch"],
            requests=[LeaseRequest(**one) for one in asked["leases"]],
        )
        return Response({"leases": msgspec.to_builtins(replies)})
