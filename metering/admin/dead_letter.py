"""Dead letters: refused events, read as they came, sent again or given up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, TextFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from aforo.kernel.errors import PROBLEMS
from aforo.kernel.texts import storable
from aforo.tenancy.admin.buttons import Ask, button, page_of
from aforo.tenancy.admin.columns import COLOURS, ago
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request

from ..models import OPEN, DeadLetter, DeadLetterRunAction
from ..selectors.dead_letter_growth import growth_for
from ..services.dead_letter_runs import dead_letter_run_plan
from ..services.dead_letters import dead_letter_discard, dead_letter_replay

# Their ids are kept on the run: 4 MB.
SELECTED_MAX = 100_000


class ExactFilter(TextFilter):
    """By the whole text of the column that parameter_name names."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class ReasonFilter(ExactFilter):
    title, parameter_name = "reason code", "code"


class CustomerFilter(ExactFilter):
    title, parameter_name = "customer as sent", "customer"


class MetricFilter(ExactFilter):
    title, parameter_name = "metric as sent", "metric"


class SourceFilter(ExactFilter):
    title, parameter_name = "source", "source"


class Correction(Ask):
    payload = forms.CharField(
        required=False,
        label="Event",
        help_text="As received; correct it here, and the correction is sent in its place.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "class": "font-mono"}),
    )

    def __init__(self, *args: Any, row: DeadLetter, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["payload"].initial = payload_text(row)

    def clean_payload(self) -> bytes | None:
        """None for the event as received, so that a replay can tell a correction."""
        text = self.cleaned_data["payload"]
        if text.replace("\r\n", "\n") == payload_text(self.row):
            return None
        return text.encode()


class Discard(Ask):
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget)


def is_open(letter: DeadLetter) -> bool:
    return letter.status in OPEN


def payload_text(letter: DeadLetter) -> str:
    """The payload as it came, as far as it is text."""
    return storable(bytes(letter.payload).decode(errors="replace"))


def _planned(request: HttpRequest, letters: QuerySet, action: DeadLetterRunAction) -> HttpResponse | None:
    """The page of a run over what was selected, which shows what would come of it before it is started."""
    ids = list(
        letters.filter(status__in=OPEN).order_by("pk").values_list("pk", flat=True)[: SELECTED_MAX + 1]
    )
    if not ids:
        messages.warning(request, "None of those selected waits for anything.")
        return None
    if len(ids) > SELECTED_MAX:
        messages.warning(
            request, f"More than {SELECTED_MAX:,} are selected; filter them, or use the API or the command."
        )
        return None
    run = dead_letter_run_plan(
        tenant=tenant_of_request(request), action=action, actor=request.user.get_username(), ids=ids
    )
    return redirect(page_of(run))


@admin.register(DeadLetter)
class DeadLetterAdmin(TenantAdmin):
    list_display = ("received", "status_label", "code", "customer", "metric", "idempotency_key", "attempts")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ReasonFilter,
        CustomerFilter,
        MetricFilter,
        SourceFilter,
        ("received_at", RangeDateTimeFilter),
    )
    list_filter_submit = True
    search_fields = ("idempotency_key__exact", "customer__exact", "metric__exact")
    search_help_text = "Idempotency key, customer or metric, as it was sent"
    ordering = ("-id",)
    actions = ("replay_selected", "discard_selected")
    actions_detail = ("replay", "discard")
    fieldsets = (
        ("Why", {"fields": ("status_label", "code", "detail", "remedy")}),
        ("Event as received", {"fields": ("payload_shown", "size", "content_type", "payload_sha256")}),
        ("Sender", {"fields": (("customer", "metric"), ("idempotency_key", "source"), "received_at")}),
        ("What became of it", {"fields": (("attempts", "changed_at"), ("actor", "reason"), "result")}),
    )
    readonly_fields = ("status_label", "remedy", "payload_shown", "size")
    list_before_template = "metering/admin/growth.html"
    empty_state = "Every event that is refused is kept here with the reason, to be corrected and sent again."

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        tenant = tenant_of_request(request)
        growth = growth_for(tenant) if tenant else None
        return super().changelist_view(request, {**(extra_context or {}), "growth": growth})

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name.endswith(
            "_changelist"
        )
        return rows.defer("payload") if is_list else rows

    @display(description="Received", ordering="received_at")
    def received(self, letter: DeadLetter) -> str:
        return ago(letter.received_at)

    @display(description="Status", ordering="status", label=COLOURS)
    def status_label(self, letter: DeadLetter) -> str:
        return letter.status

    @display(description="What to do")
    def remedy(self, letter: DeadLetter) -> str:
        return PROBLEMS[letter.code].remedy if letter.code in PROBLEMS else ""

    @display(description="Payload")
    def payload_shown(self, letter: DeadLetter) -> str:
        return format_html(
            '<pre id="payload" class="font-mono text-xs whitespace-pre-wrap break-all">{}</pre>',
            payload_text(letter),
        )

    @display(description="Size")
    def size(self, letter: DeadLetter) -> str:
        kept = len(letter.payload)
        whole = f"{letter.payload_length:,} bytes"
        return whole if kept == letter.payload_length else f"{whole}, of which the first {kept:,} are kept"

    @admin.action(description="Replay those selected…", permissions=["operate"])
    def replay_selected(self, request: HttpRequest, letters: QuerySet) -> HttpResponse | None:
        return _planned(request, letters, DeadLetterRunAction.REPLAY)

    @admin.action(description="Discard those selected…", permissions=["operate"])
    def discard_selected(self, request: HttpRequest, letters: QuerySet) -> HttpResponse | None:
        return _planned(request, letters, DeadLetterRunAction.DISCARD)

    @button(
        "Replay",
        icon="replay",
        ask=Correction,
        offered=is_open,
        says="Sends the event again through the same checks, at its original time of receipt.",
    )
    def replay(self, request: HttpRequest, letter: DeadLetter, payload: bytes | None) -> str:
        done = dead_letter_replay(
            tenant=tenant_of_request(request),
            letter_id=letter.pk,
            actor=request.user.get_username(),
            payload=payload,
        )
        refused = done.result.get("detail")
        return f"Refused again: {refused}" if refused else f"The event is now {done.result['outcome']}."

    @button(
        "Discard",
        icon="delete",
        ask=Discard,
        offered=is_open,
        variant=ActionVariant.DANGER,
        says="Gives the event up; it stays here and counted, and is never billed.",
    )
    def discard(self, request: HttpRequest, letter: DeadLetter, reason: str) -> str:
        dead_letter_discard(
            tenant=tenant_of_request(request),
            letter_id=letter.pk,
            reason=reason,
            actor=request.user.get_username(),
        )
        return "The dead letter is discarded."
