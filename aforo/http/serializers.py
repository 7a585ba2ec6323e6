"""Fields and serializers that every API shares: nothing unknown, exact decimals, instants with a zone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from aforo.kernel.decimals import plain
from aforo.kernel.periods import instant_text


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses a field it does not know: a mistyped name is an error, not a silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(str(name) for name in set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {name: [f"This field is not known here; known are {known}."] for name in unknown}
            )
        return super().to_internal_value(data)


def asked(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """The request's body as the serializer reads it. Raises DRF's ValidationError, answered as input_invalid."""
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    return body.validated_data


class PageQuery(StrictSerializer):
    """What every list takes; filters are added below it."""

    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, help_text="Rows a page; 50.")
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")

    @classmethod
    def filters(cls, request: Request) -> dict[str, Any]:
        """The filters of a list's address. Raises DRF's ValidationError."""
        query = cls(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        return {name: value for name, value in query.validated_data.items() if name not in _PAGE}


_PAGE = frozenset({"limit", "cursor"})


@extend_schema_field({"type": "string", "format": "decimal", "example": "19366"})
class ExactField(serializers.Field):
    """An exact decimal in answers, as text; for requests use DecimalField."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


@extend_schema_field({"type": "string", "format": "date-time", "example": "2026-03-01T00:00:00Z"})
class InstantField(serializers.Field):
    """RFC 3339 with a zone, as an instant in UTC; a text without a zone names no instant and is refused."""

    default_error_messages = {
        "invalid": "Write an RFC 3339 instant such as 2026-03-01T00:00:00Z.",
        "naive": "This instant has no zone; end it with Z or an offset like +05:30.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        try:
            instant = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            self.fail("invalid")
        # Neighbouring days and other zones need room at both ends of the calendar.
        if not 1900 <= instant.year <= 2999 or len(data) <= len("2026-03-01"):
            self.fail("invalid")
        if instant.tzinfo is None:
            self.fail("naive")
        return instant

    def to_representation(self, value: datetime) -> str:
        return instant_text(value)
