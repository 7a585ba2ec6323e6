"""The event log: searched, followed live, and what became of each event, down to its invoice line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.admin.buttons import page_of
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from billing.documents.numbers import DEFAULT, money_text
from billing.selectors.event_billing import EventBilling, adjusting_lines_for, event_billing_for
from metering.selectors.corrections import corrections_for, counting_event_for
from metering.selectors.event_log import STATUSES, LogRow, log_followed_for, log_for
from metering.selectors.event_steps import Step, refusals_for, steps_of, steps_of_refusal
from metering.selectors.events import EventPlace, StoredEvent, event_for

ROWS_A_PAGE = 50
# What the log is searched by: the selectors' names, and what people call them.
TEXTS = {"key": "Idempotency key", "customer_id": "Customer", "metric": "Metric", "source": "Source"}
TIMES = {"start": "From (UTC)", "end": "Until (UTC)"}
FOLLOWED_BY = ("customer_id", "metric", "source", "status")
COLOURS = {"accepted": "success", "late": "warning", "refused": "danger", "held": "info"}
HEADERS = ("Status", "Key", "Metric", "Customer", "Quantity", "Happened", "Received", "Source")


def events_page(request: HttpRequest) -> HttpResponse:
    """The log, the latest first. Query: what TEXTS, TIMES and status search by, and after: where the page before ended.

    A key that is there opens its event.
    """
    tenant = _tenant(request)
    texts = {name: request.GET.get(name, "").strip() for name in (*TEXTS, *TIMES)}
    status = request.GET.get("status", "")
    asked = {name: _asked(name, text) for name, text in texts.items()}
    try:
        found = (
            log_for(
                tenant,
                limit=ROWS_A_PAGE + 1,
                status=status if status in STATUSES else None,
                after=_place(request.GET.get("after", "")),
                **asked,
            )
            if tenant
            else []
        )
    except Problem as problem:
        if problem.code != "events_archived":
            raise
        # Its own page says where it is.
        return redirect("console-event", key=texts["key"])
    rows = found[:ROWS_A_PAGE]
    searched = {name: text for name, text in {**texts, "status": status}.items() if text}
    if rows and searched.keys() == {"key"}:
        return redirect("console-event", key=texts["key"])
    context = {
        "title": "Event log",
        "headers": HEADERS,
        "texts": [(name, label, texts[name]) for name, label in TEXTS.items()],
        "times": [(name, label, texts[name] if asked[name] else "") for name, label in TIMES.items()],
        "statuses": STATUSES,
        "status": status,
        "is_filtered": bool(searched) or "after" in request.GET,
        "rows": [_shown(row) for row in rows],
        "older": _query({**searched, "after": _after(rows[-1])}) if len(found) > ROWS_A_PAGE else "",
        "live": _query({name: searched[name] for name in FOLLOWED_BY if name in searched}),
    }
    return _page(request, "console/events.html", context)


def events_live_page(request: HttpRequest) -> HttpResponse:
    """What comes in, as it comes in. Query: what FOLLOWED_BY searches by."""
    tenant = _tenant(request)
    context = {
        "title": "Live events",
        "headers": HEADERS,
        "searched": [(name, text) for name, text in _followed(request).items() if text],
        "query": _query(_followed(request)),
        **_look(request, tenant),
    }
    return _page(request, "console/events_live.html", context)


def events_live_rows(request: HttpRequest) -> HttpResponse:
    """The rows since the last look, for the page above; asks again by itself. Query: and cursor."""
    return render(request, "console/events_live_rows.html", _look(request, _tenant(request)))


def event_page(request: HttpRequest, key: str) -> HttpResponse:
    """What became of a key: the stored event with its steps and its invoice, and the dead letters under it."""
    tenant = _tenant(request)
    stored, counting, archived = _stored(tenant, key) if tenant else (None, None, "")
    letters = list(refusals_for(tenant, key)) if tenant else []
    if stored is None and not letters and not archived:
        raise Http404(f"No event {key!r}.")
    context: dict[str, Any] = {
        "title": f"Event {key}",
        "archived": archived,
        "letters": [{"letter": letter, "steps": steps_of_refusal(letter)} for letter in letters],
    }
    if stored is not None:
        corrections = list(corrections_for(tenant, idempotency_key=key))
        shown = counting or stored
        context |= {
            "event": shown,
            "quantity": trimmed(shown.quantity),
            "properties": json.dumps(json.loads(shown.properties), indent=2, ensure_ascii=False),
            "steps": [*steps_of(tenant, shown, corrections), _billed(tenant, shown, corrections)],
            "corrections": corrections,
            "is_correctable": counting is not None and request.user.has_perm("metering.add_correction"),
        }
    return _page(request, "console/event.html", context)


def _tenant(request: HttpRequest) -> Tenant | None:
    if not request.user.has_perm("metering.view_event"):
        raise PermissionDenied
    return tenant_of_request(request)


def _stored(tenant: Tenant, key: str) -> tuple[StoredEvent | None, StoredEvent | None, str]:
    """The event, what counts in its place today, and the sentence that says in which file of the archive either lies."""
    stored = None
    try:
        stored = event_for(tenant, key)
        return stored, counting_event_for(tenant, key), ""
    except Problem as problem:
        return stored, None, problem.detail if problem.code == "events_archived" else ""


def _asked(name: str, text: str) -> Any:
    """A field of the search as the selector takes it; what is no instant is not searched by."""
    if name not in TIMES or not text:
        return text or None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _followed(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "").strip() for name in FOLLOWED_BY}


def _look(request: HttpRequest, tenant: Tenant | None) -> dict[str, Any]:
    """One look at what has come in: its rows, and the query of the next one."""
    asked = _followed(request)
    rows: list[LogRow] = []
    cursor = request.GET.get("cursor", "")
    if tenant is not None:
        named = {name: text or None for name, text in asked.items()}
        if named["status"] not in STATUSES:
            named["status"] = None
        try:
            rows, cursor = log_followed_for(tenant, cursor=cursor, **named)
        except Problem:
            # Somebody has cut the address; begin anew.
            rows, cursor = log_followed_for(tenant, **named)
    return {"rows": [_shown(row) for row in rows], "next": _query({**asked, "cursor": cursor})}


def _shown(row: LogRow) -> dict[str, Any]:
    return {
        "row": row,
        "colour": COLOURS[row.status],
        "quantity": "" if row.quantity is None else trimmed(row.quantity),
    }


def _billed(tenant: Tenant, stored: StoredEvent, corrections: Sequence[Any]) -> Step:
    """The last step: the invoice line that the event counts in, or those that adjust what it was billed as."""
    lines = adjusting_lines_for(tenant, [correction.pk for correction in corrections])
    if adjusting := [
        format_html(
            "{}: {} on {}",
            line.description,
            money_text(line.amount, line.invoice.currency, DEFAULT),
            _link(line.invoice, line.invoice.number or "the draft"),
        )
        for line in lines
    ]:
        return Step("invoice", "adjusted", format_html_join("; ", "{}", ((each,) for each in adjusting)))
    billing = (
        event_billing_for(
            tenant,
            subscription_id=stored.subscription_id,
            plan_version_id=stored.plan_version_id,
            metric=stored.metric,
            at=stored.timestamp,
        )
        if stored.subscription_id and stored.plan_version_id
        else None
    )
    if billing is None:
        return Step("invoice", "never", "It belongs to no subscription, so that nobody is billed for it.")
    start, end = instant_text(billing.period.start), instant_text(billing.period.end)
    subscription = _link(billing.subscription, billing.subscription.code)
    if billing.invoice is None:
        said = format_html("Not invoiced yet: the period {} to {} of {} is open.", start, end, subscription)
        return Step("invoice", "open", said)
    return Step("invoice", billing.invoice.status.lower(), _invoiced(billing, stored, corrections))


def _invoiced(billing: EventBilling, stored: StoredEvent, corrections: Sequence[Any]) -> str:
    invoice = billing.invoice
    link = _link(invoice, invoice.number or "the draft")
    if invoice.issued_at is not None and stored.received_at > invoice.issued_at:
        return format_html("It came after {} was issued; the difference goes on the next invoice.", link)
    if corrections and invoice.issued_at is not None and corrections[0].created_at > invoice.issued_at:
        return format_html("Corrected after {} was issued; the difference goes on the next invoice.", link)
    if corrections and corrections[0].is_void:
        return format_html("In the period of {}, where it counts no longer.", link)
    if not billing.lines:
        return format_html("In the period of {}, no line of which prices it.", link)
    lines = "; ".join(
        f"{line.description}: {money_text(line.amount, invoice.currency, DEFAULT)}" for line in billing.lines
    )
    return format_html("On {}, {}.", link, lines)


def _link(row: Model, text: str) -> str:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', page_of(row), text
    )


def _place(text: str) -> EventPlace | None:
    """Where a page ended, as `_after` wrote it; None for anything else."""
    instant, _, identity = text.partition("/")
    try:
        timestamp = datetime.fromisoformat(instant)
        return EventPlace(timestamp, UUID(identity)) if timestamp.tzinfo else None
    except ValueError:
        return None


def _after(last: LogRow) -> str:
    return f"{instant_text(last.place.timestamp)}/{last.id}"


def _query(named: dict[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.update({name: text for name, text in named.items() if text})
    return query.urlencode()


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
