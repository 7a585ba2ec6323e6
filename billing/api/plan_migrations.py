"""Moving subscriptions from one version of a rate plan to another over HTTP: what it would come to, and the move."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import asked

from ..documents.bodies import amount_text
from ..schemas.plan_migrations import (
    MigrationPreviewRequestSerializer,
    MigrationPreviewSerializer,
    MigrationRequestSerializer,
    MigrationSerializer,
)
from ..services.plan_migrations import MigrationEffect, MigrationPreview, migration_preview, plan_migrate

# More at once is the command's work.
SUBSCRIPTIONS_MAX = 1000
_NOT_FOUND = "No rate plan version 3."
_TOO_MANY = "12,000 subscriptions hold the version; name up to 1,000, or use manage.py plan_migration."


class MigrationPreviewView(APIView):
    scopes: ClassVar = {"POST": "read"}

    @extend_schema(
        tags=["catalog"],
        summary="What another version would come to for each subscription",
        description=(
            "The last full period of each subscription on the version (or the present one so far), billed as it was and with "
            "the other version in its place, which may be a draft. Nothing is kept."
        ),
        request=MigrationPreviewRequestSerializer,
        responses={
            200: MigrationPreviewSerializer,
            **problems("body_unreadable", not_found=_NOT_FOUND, input_invalid=_TOO_MANY),
        },
        examples=[
            OpenApiExample("version 2", value={"to": 2}, request_only=True),
            OpenApiExample(
                "one pays less",
                value={
                    "currency": "USD",
                    "before": "60.00",
                    "after": "57.00",
                    "delta": "-3.00",
                    "winners": 1,
                    "losers": 0,
                    "effects": [
                        {
                            "customer": "cust_abc",
                            "subscription": "sub-1",
                            "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"},
                            "before": "60.00",
                            "after": "57.00",
                            "delta": "-3.00",
                        }
                    ],
                    "refused": [],
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request, code: str, number: int) -> Response:
        fields = asked(MigrationPreviewRequestSerializer, request)
        preview = migration_preview(
            tenant=request.user.tenant,
            plan=code,
            version=number,
            to=fields["to"],
            subscriptions=fields.get("subscriptions", ()),
            is_present=fields.get("period") == "present",
            subscriptions_max=SUBSCRIPTIONS_MAX,
        )
        return Response(MigrationPreviewSerializer(_body(preview)).data)


def _body(preview: MigrationPreview) -> dict[str, Any]:
    def figures(of: MigrationPreview | MigrationEffect) -> dict[str, str]:
        return {
            name: amount_text(getattr(of, name), preview.currency) for name in ("before", "after", "delta")
        }

    return {
        "currency": preview.currency,
        **figures(preview),
        "winners": preview.winners,
        "losers": preview.losers,
        "effects": [
            {
                "customer": effect.customer,
                "subscription": effect.subscription,
                "period": effect.period,
                **figures(effect),
            }
            for effect in preview.effects
        ],
        "refused": preview.refused,
    }


class MigrationView(APIView):
    scopes: ClassVar = {"POST": "write"}

    @extend_schema(
        tags=["catalog"],
        summary="Let the subscriptions on a version hold another one",
        description=(
            "From now on, or from the end of their period. A subscription that cannot move is named and stops nobody else; "
            "asking again moves those that have not moved."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=MigrationRequestSerializer,
        responses={
            200: MigrationSerializer,
            **problems(
                "body_unreadable", "idempotency_reused", not_found=_NOT_FOUND, input_invalid=_TOO_MANY
            ),
        },
        examples=[
            OpenApiExample(
                "with the next period", value={"to": 2, "effective": "period_end"}, request_only=True
            ),
            OpenApiExample("moved", value={"migrated": 3, "refused": []}, response_only=True),
        ],
    )
    @idempotent
    def post(self, request: Request, code: str, number: int) -> Response:
        fields = asked(MigrationRequestSerializer, request)
        done = plan_migrate(
            tenant=request.user.tenant,
            plan=code,
            version=number,
            to=fields["to"],
            subscriptions=fields.get("subscriptions", ()),
            is_at_period_end=fields["effective"] == "period_end",
            subscriptions_max=SUBSCRIPTIONS_MAX,
        )
        return Response(MigrationSerializer(done).data)
