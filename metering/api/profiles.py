"""The metering profile over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.serializers import asked

from ..schemas import MeteringProfileSerializer
from ..selectors.profiles import metering_profile_for
from ..services.profiles import metering_profile_set

_ANSWER = OpenApiExample(
    "unknown metrics are held",
    value={
        "holds_unknown_metrics": True,
        "holds_unknown_customers": False,
        "alert_letters_min": 100,
        "alert_share_percent": "5.00",
    },
    response_only=True,
)


class MeteringProfileView(APIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}

    @extend_schema(
        tags=["dead letters"],
        summary="What is held, and how many dead letters are an alarm",
        responses={200: MeteringProfileSerializer, **problems()},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        return Response(MeteringProfileSerializer(metering_profile_for(request.user.tenant)).data)

    @extend_schema(
        tags=["dead letters"],
        summary="Change what is held, and how many dead letters are an alarm",
        description="For events received from now on.",
        request=MeteringProfileSerializer,
        responses={200: MeteringProfileSerializer, **problems("body_unreadable", "input_invalid")},
        examples=[
            OpenApiExample("hold", value={"holds_unknown_metrics": True}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request) -> Response:
        fields = asked(MeteringProfileSerializer, request)
        return Response(
            MeteringProfileSerializer(metering_profile_set(tenant=request.user.tenant, **fields)).data
        )
