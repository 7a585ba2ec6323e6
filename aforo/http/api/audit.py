"""The audit over HTTP: who did what, the latest first."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.audit.models import AuditEntry
from aforo.audit.selectors import audit_entries_for

from ..documentation import problems
from ..schemas import AuditEntrySerializer, AuditQuery

_ENTRY = {
    "sequence": 42,
    "at": "2026-03-20T12:00:00Z",
    "actor": "margin guard",
    "action": "margin.tripped",
    "subject": "customer cust_abc",
    "before": {"level": 0, "action": "none"},
    "after": {"level": 3, "action": "block", "margin_percent": "-60"},
    "previous_hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
    "hash": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
}


class AuditView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = AuditEntry.objects.none()
    serializer_class = AuditEntrySerializer
    page_ordering = ("-sequence",)

    @extend_schema(
        tags=["audit"],
        summary="List audit entries",
        description="The latest first. Each carries the hash of the one before; manage.py verify_audit walks the chain.",
        parameters=[AuditQuery],
        responses={200: AuditEntrySerializer(many=True), **problems("input_invalid")},
        examples=[OpenApiExample("a margin below every floor", value=_ENTRY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        rows = audit_entries_for(request.user.tenant, **AuditQuery.filters(request))
        return self.get_paginated_response(AuditEntrySerializer(self.paginate_queryset(rows), many=True).data)
