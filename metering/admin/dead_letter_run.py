"""Dead letter runs: what one would do, then how far it is."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from aforo.tenancy.admin.buttons import Ask, button
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request

from ..models import DeadLetterRun, DeadLetterRunAction, DeadLetterRunStatus
from ..services.dead_letter_runs import (
    dead_letter_run_cancel,
    dead_letter_run_map,
    dead_letter_run_preview,
    dead_letter_run_start,
)


class Names(Ask):
    metric_to = forms.CharField(
        required=False,
        max_length=255,
        label="Metric",
        help_text="In place of the events' own; empty: they keep it. A meter listens to it.",
        widget=UnfoldAdminTextInputWidget,
    )
    customer_to = forms.CharField(
        required=False,
        max_length=255,
        label="Customer",
        help_text="External id, in place of the events' own; empty: they keep it.",
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, row: DeadLetterRun, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        for name in self.fields:
            self.fields[name].initial = getattr(row, name)


class Reason(Ask):
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget)


def _is_planned(run: DeadLetterRun) -> bool:
    return run.status == DeadLetterRunStatus.PLANNED


def _can_replay(run: DeadLetterRun) -> bool:
    return _is_planned(run) and run.action == DeadLetterRunAction.REPLAY


def _can_discard(run: DeadLetterRun) -> bool:
    return _is_planned(run) and run.action == DeadLetterRunAction.DISCARD


@admin.register(DeadLetterRun)
class DeadLetterRunAdmin(TenantAdmin):
    list_display = ("started", "action", "status_label", "progress", "outcome_list", "actor")
    list_filter = (("status", ChoicesDropdownFilter), ("action", ChoicesDropdownFilter))
    list_filter_submit = True
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": (("action", "actor"), ("created_at", "finished_at"))}),
        ("Which, and how", {"fields": ("filters_shown", "names_shown", "reason")}),
    )
    readonly_fields = ("filters_shown", "names_shown")
    actions_detail = ("replay", "discard", "map_names", "cancel")
    change_form_outer_before_template = "metering/admin/dead_letter_run.html"
    empty_state = (
        "Select dead letters in their list to replay or discard many at once; what comes of it stands here."
    )

    @display(description="Made", ordering="created_at")
    def started(self, run: DeadLetterRun) -> Any:
        return run.created_at

    @display(description="Status", ordering="status", label=COLOURS)
    def status_label(self, run: DeadLetterRun) -> str:
        return run.status

    @display(description="Letters")
    def progress(self, run: DeadLetterRun) -> str:
        return f"{run.done:,} of {run.total:,}"

    @display(description="Outcomes")
    def outcome_list(self, run: DeadLetterRun) -> str:
        return outcomes_said(run)

    @display(description="Filters")
    def filters_shown(self, run: DeadLetterRun) -> str:
        said = [
            f"{len(value):,} selected" if name == "ids" else f"{name} {value}"
            for name, value in run.filters.items()
        ]
        return ", ".join(said) or "every one that waited"

    @display(description="Mapped to")
    def names_shown(self, run: DeadLetterRun) -> str:
        return ", ".join(f"{field} {name}" for field, name in run.names.items()) or "their own names"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        preview = dead_letter_run_preview(run) if _is_planned(run) else None
        context = {
            "run": run,
            "run_colour": COLOURS.get(run.status, "default"),
            "preview": preview,
            "refused_again": sum(preview.refused.values()) if preview else 0,
            "percent_done": round(100 * run.done / run.total) if run.total else 100,
            "outcomes": outcomes_said(run),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @button(
        "Replay them",
        icon="replay",
        offered=_can_replay,
        says="Sends the events again through the same checks, at their original times of receipt.",
    )
    def replay(self, request: HttpRequest, run: DeadLetterRun) -> str:
        dead_letter_run_start(tenant=tenant_of_request(request), run_id=run.pk)
        return "The workers are at it."

    @button(
        "Discard them",
        icon="delete",
        ask=Reason,
        offered=_can_discard,
        variant=ActionVariant.DANGER,
        says="Gives the events up; they stay and are counted, and are never billed.",
    )
    def discard(self, request: HttpRequest, run: DeadLetterRun, reason: str) -> str:
        dead_letter_run_start(tenant=tenant_of_request(request), run_id=run.pk, reason=reason)
        return "The workers are at it."

    @button(
        "Map a name",
        icon="edit",
        ask=Names,
        offered=_can_replay,
        says="The events get the name of a metric or customer that is known; the page then shows what would come of it.",
    )
    def map_names(self, request: HttpRequest, run: DeadLetterRun, metric_to: str, customer_to: str) -> str:
        dead_letter_run_map(
            tenant=tenant_of_request(request), run_id=run.pk, metric_to=metric_to, customer_to=customer_to
        )
        return "The names are mapped; nothing is replayed yet."

    @button(
        "Cancel",
        icon="block",
        offered=lambda run: run.finished_at is None,
        says="Leaves the letters that were not looked at as they are.",
    )
    def cancel(self, request: HttpRequest, run: DeadLetterRun) -> str:
        dead_letter_run_cancel(tenant=tenant_of_request(request), run_id=run.pk)
        return "The run is cancelled."


def outcomes_said(run: DeadLetterRun) -> str:
    """The most frequent first: 4,150 accepted, 50 duplicate."""
    ends = sorted(run.outcomes.items(), key=lambda end: -end[1])
    return ", ".join(f"{count:,} {end}" for end, count in ends)
