"""What the API's description says alike for every endpoint: the key, the problems, the pages.

@extend_schema(responses={200: MeterSerializer, **problems("not_found", "input_invalid")})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from aforo.kernel.errors import PROBLEMS

from .problems import MEDIA_TYPE

# Any request can meet these, whatever its endpoint.
OF_ANY_KEY = ("key_missing", "key_unknown", "key_revoked", "scope_missing", "tenant_mismatch", "rate_limited")


class ProblemSerializer(serializers.Serializer):
    """Problem details (RFC 9457); the numbers that matter follow as further members."""

    type = serializers.URLField(help_text="Stable; ends in the code with hyphens.")
    title = serializers.CharField(help_text="The same for every problem of this type.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="One sentence about this occurrence.")
    code = serializers.CharField()
    remedy = serializers.CharField(help_text="What the caller can do about it.")


def problems(*codes: str, **details: str) -> dict[tuple[int, str], OpenApiResponse]:
    """The refusals of an endpoint by status: those of any request with a key, and the ones named.

    codes: keys of PROBLEMS. details: the sentence of a code's example, where the title would not do.
    """
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*OF_ANY_KEY, *codes, *details)):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        _Answer((status, MEDIA_TYPE)): OpenApiResponse(
            ProblemSerializer,
            description=" · ".join(PROBLEMS[code].title for code in found),
            examples=[_example(code, details.get(code)) for code in found],
        )
        for status, found in sorted(by_status.items())
    }


class _Answer(tuple[int, str]):
    """A status with a media type that sorts among plain statuses.

    drf-spectacular takes the response whose key is the least text for the main one, and "(401, …" is less than "200".
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self[0]} {self[1]}"


def _example(code: str, detail: str | None) -> OpenApiExample:
    kind = PROBLEMS[code]
    document: Mapping[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail or f"{kind.title}.",
        "code": code,
        "remedy": kind.remedy,
    }
    return OpenApiExample(
        code, value=document, media_type=MEDIA_TYPE, response_only=True, status_codes=[str(kind.status)]
    )


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Found by drf-spectacular once this module is imported."""

    target_class = "aforo.http.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `Authorization: Bearer sk_live_…`; it names the tenant.",
        }
