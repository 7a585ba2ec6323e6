"""The audit: who did what, to be read."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateTimeFilter
from unfold.decorators import display

from aforo.tenancy.admin.rows import TenantAdmin

from .models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(TenantAdmin):
    list_display = ("sequence", "at", "actor", "action", "subject")
    list_filter = (("actor", FieldTextFilter), ("action", FieldTextFilter), ("at", RangeDateTimeFilter))
    list_filter_submit = True
    list_before_template = "audit/admin/verify.html"
    search_fields = ("subject", "actor", "action")
    fieldsets = (
        (None, {"fields": (("sequence", "at"), ("actor", "action"), "subject")}),
        ("What changed", {"fields": ("before_shown", "after_shown")}),
        ("Chain", {"fields": ("previous_hash", "hash")}),
    )
    readonly_fields = ("before_shown", "after_shown")
    empty_state = (
        "Changes of features, entitlements, grants, margin policies and costs, and what the margin guard does, are written "
        "down here for good."
    )

    @display(description="Before")
    def before_shown(self, entry: AuditEntry) -> SafeString | str:
        return _shown(entry.before)

    @display(description="After")
    def after_shown(self, entry: AuditEntry) -> SafeString | str:
        return _shown(entry.after)


def _shown(value: object) -> SafeString | str:
    return (
        "–"
        if value is None
        else format_html(
            '<pre class="font-mono text-xs whitespace-pre-wrap break-all">{}</pre>',
            json.dumps(value, indent=2, ensure_ascii=False),
        )
    )
