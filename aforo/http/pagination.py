"""Lists come in pages that a cursor walks: stable while rows are added, and cheap at any depth."""

from __future__ import annotations

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class CursorPage(CursorPagination):
    """`?limit=` up to 200 rows; the answer carries `data`, `next` and `previous` (addresses or null)."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = "pk"

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> tuple[str, ...]:
        return tuple(getattr(view, "page_ordering", ("pk",)))

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True, "example": None}
        return {
            "type": "object",
            "required": ["data", "next", "previous"],
            "properties": {"data": schema, "next": link, "previous": link},
        }
