"""Stored events: the latest of the tenant, found by key, customer and metric, and what became of each."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from metering.selectors.event_steps import refusals_for, steps_of, steps_of_refusal
from metering.selectors.events import EventPlace, StoredEvent, event_for, events_for

EVENTS_A_PAGE = 50
FIELDS = {"key": "Idempotency key", "customer": "Customer", "metric": "Metric"}


def events_page(request: HttpRequest) -> HttpResponse:
    """The latest events. Query: key (opens that event), customer, metric, after (where the page before ended)."""
    tenant = _tenant(request)
    asked = {name: request.GET.get(name, "").strip() for name in FIELDS}
    if asked["key"]:
        return redirect("console-event", key=asked["key"])
    found = (
        events_for(
            tenant,
            limit=EVENTS_A_PAGE + 1,
            customer_id=asked["customer"] or None,
            metric=asked["metric"] or None,
            after=_place(request.GET.get("after", "")),
        )
        if tenant
        else []
    )
    events = found[:EVENTS_A_PAGE]
    context = {
        "title": "Events",
        "headers": ("Key", "Metric", "Customer", "Quantity", "Happened", "Source"),
        "fields": [(name, {"text": FIELDS[name], "value": value}) for name, value in asked.items()],
        "is_filtered": any(asked.values()) or "after" in request.GET,
        "events": [{"event": event, "quantity": trimmed(event.quantity)} for event in events],
        "older": _older(asked, events[-1]) if len(found) > EVENTS_A_PAGE else "",
    }
    return _page(request, "console/events.html", context)


def event_page(request: HttpRequest, key: str) -> HttpResponse:
    """What became of a key: the stored event with its steps, and the dead letters under it."""
    tenant = _tenant(request)
    stored = _stored(tenant, key) if tenant else None
    letters = list(refusals_for(tenant, key)) if tenant else []
    if stored is None and not letters:
        raise Http404(f"No event {key!r}.")
    context: dict[str, Any] = {
        "title": key,
        "letters": [{"letter": letter, "steps": steps_of_refusal(letter)} for letter in letters],
    }
    if stored is not None:
        context |= {
            "event": stored,
            "quantity": trimmed(stored.quantity),
            "properties": json.dumps(json.loads(stored.properties), indent=2, ensure_ascii=False),
            "steps": steps_of(tenant, stored),
        }
    return _page(request, "console/event.html", context)


def _tenant(request: HttpRequest) -> Tenant | None:
    if not request.user.has_perm("metering.view_event"):
        raise PermissionDenied
    return tenant_of_request(request)


def _stored(tenant: Tenant, key: str) -> StoredEvent | None:
    try:
        return event_for(tenant, key)
    except Problem:
        return None


def _place(text: str) -> EventPlace | None:
    """Where a page ended, as `_older` wrote it; None for anything else."""
    instant, _, identity = text.partition("/")
    try:
        timestamp = datetime.fromisoformat(instant)
        return EventPlace(timestamp, UUID(identity)) if timestamp.tzinfo else None
    except ValueError:
        return None


def _older(asked: dict[str, str], last: StoredEvent) -> str:
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in asked.items() if value})
    query["after"] = f"{instant_text(last.timestamp)}/{last.identity}"
    return query.urlencode()


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
