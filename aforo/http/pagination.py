"""Lists come in pages that a cursor walks: stable while rows are added, and cheap at any depth."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class CursorPage(CursorPagination):
    """`?limit=` up to 200 rows; the answer carries `data`, `next` and `previous` (addresses or null)."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = "pk"

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> tuple[str, ...]:
        self._model = queryset.model
        return tuple(getattr(view, "page_ordering", ("pk",)))

    def decode_cursor(self, request: Any) -> Any:
        """Raises NotFound, also for a cursor whose position is no value of the column that orders the list."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            name = self.ordering[0].lstrip("-")
            field = self._model._meta.pk if name == "pk" else self._model._meta.get_field(name)
            try:
                field.run_validators(field.to_python(cursor.position))
            except ValidationError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True, "example": None}
        return {
            "type": "object",
            "required": ["data", "next", "previous"],
            "properties": {"data": schema, "next": link, "previous": link},
        }
