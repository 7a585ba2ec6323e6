"""Corrections, to be read: what counted, what counts since, who says so and why. They are made on an event's page."""

from __future__ import annotations

import msgspec
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from aforo.kernel.periods import instant_text
from aforo.tenancy.admin.columns import ago
from aforo.tenancy.admin.rows import TenantAdmin

from ..models import Correction
from ..services.corrections import correction_periods

_KINDS = {"AMEND": "info", "VOID": "danger"}


@admin.register(Correction)
class CorrectionAdmin(TenantAdmin):
    list_display = ("made", "kind_label", "idempotency_key", "customer", "metric", "reason", "actor")
    list_filter = (("kind", ChoicesDropdownFilter), ("created_at", RangeDateTimeFilter))
    list_filter_submit = True
    search_fields = ("idempotency_key__exact", "superseded_context__customer__external_id__exact")
    search_help_text = "The event's idempotency key, or the customer it was of"
    ordering = ("-sequence",)
    fieldsets = (
        (None, {"fields": ("kind_label", "event", "reason", "actor", "created_at")}),
        ("What counts", {"fields": ("content_before", "content_after")}),
        ("Bills", {"fields": ("periods",)}),
    )
    readonly_fields = ("kind_label", "event", "content_before", "content_after", "periods")
    empty_state = "Events that were amended or voided show here; an event's page in the event log has both."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("superseded_context__customer")

    @display(description="Made", ordering="created_at")
    def made(self, correction: Correction) -> str:
        return ago(correction.created_at)

    @display(description="Kind", ordering="kind", label=_KINDS)
    def kind_label(self, correction: Correction) -> str:
        return correction.kind

    @display(description="Customer")
    def customer(self, correction: Correction) -> str:
        return correction.superseded_context.customer.external_id

    @display(description="Metric")
    def metric(self, correction: Correction) -> str:
        return correction.superseded_context.metric

    @display(description="Event")
    def event(self, correction: Correction) -> str:
        key = correction.idempotency_key
        address = reverse("console-event", args=[key])
        return format_html(
            '<a class="break-all text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, key
        )

    @display(description="Until then")
    def content_before(self, correction: Correction) -> str:
        return _shown(correction.before)

    @display(description="Since")
    def content_after(self, correction: Correction) -> str:
        return _shown(correction.after) if correction.after else "Nothing."

    @display(description="Billing periods")
    def periods(self, correction: Correction) -> str:
        said = [
            f"{one.subscription}, {instant_text(one.period.start)} to {instant_text(one.period.end)}: "
            + ("open" if one.is_open else f"{one.invoice}; the difference goes on the next invoice")
            for one in correction_periods(correction)
        ]
        return "; ".join(said) or "None: nobody is billed for it."


def _shown(content: str) -> str:
    # A field a line: the admin's own column does not break lines.
    text = msgspec.json.format(content, indent=2)
    return format_html('<pre class="font-mono text-xs whitespace-pre-wrap break-all">{}</pre>', text)
