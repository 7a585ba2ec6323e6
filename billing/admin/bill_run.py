"""Bill runs: a month's invoices, with how far they have come."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from aforo.kernel.clock import now
from aforo.kernel.periods import month_later
from aforo.tenancy.admin.buttons import page_of
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.rows import RowForm, TenantAdmin
from aforo.tenancy.models import Tenant

from ..models import BillRun, BillRunItem
from ..models.profile import GRACE_HOURS_MAX
from ..selectors.bill_runs import bill_run_items_for, bill_run_progress
from ..selectors.periods import month_window
from ..services.bill_runs import bill_run_start

MONTHS_OFFERED = 12
ITEMS_SHOWN = 100


class BillRunForm(RowForm):
    month = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget, help_text="Bills each period whose last day lies in the month."
    )
    customers = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="External ids, comma-separated; empty: every customer.",
    )
    grace_hours = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=GRACE_HOURS_MAX,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="So long the drafts wait for late events; empty: as the billing profile says.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "month" in self.fields and self.tenant is not None:
            this = now().astimezone(self.tenant.zone).date().replace(day=1)
            months = [month_later(this, -back) for back in range(MONTHS_OFFERED)]
            self.fields["month"].choices = [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]
            self.fields["month"].initial = f"{months[1]:%Y-%m}"

    def clean_customers(self) -> tuple[str, ...]:
        names = (name.strip() for name in self.cleaned_data["customers"].split(","))
        return tuple(name for name in names if name)


@admin.register(BillRun)
class BillRunAdmin(TenantAdmin):
    form = BillRunForm
    list_display = ("window", "state", "done", "auto_finalize", "started_at", "finished_at")
    list_filter = (("status", ChoicesDropdownFilter),)
    add_fieldsets = ((None, {"fields": ("month", "customers", "auto_finalize", "grace_hours")}),)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("starts_on", "ends_on"),
                    ("auto_finalize", "issues_at"),
                    ("started_at", "finished_at"),
                )
            },
        ),
    )
    change_form_outer_before_template = "billing/admin/bill_run.html"
    empty_state = "A bill run drafts and issues the invoices of a month. Start one once the month is over."

    @display(description="Window", ordering="starts_on")
    def window(self, run: BillRun) -> str:
        is_month = run.starts_on.day == 1 and run.ends_on == month_later(run.starts_on, 1)
        return f"{run.starts_on:%B %Y}" if is_month else str(run)

    @display(description="Status", ordering="status", label=COLOURS)
    def state(self, run: BillRun) -> str:
        return run.status

    @display(description="Invoices")
    def done(self, run: BillRun) -> str:
        progress = bill_run_progress(run)
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        return f"{progress.drafted + progress.issued:,} of {progress.total:,}{failed}"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "auto_finalize":
            field.label, field.help_text = (
                "Issue at once",
                "Else the invoices stay drafts, to be issued one by one.",
            )
        return field

    def create(
        self,
        tenant: Tenant,
        *,
        month: str,
        customers: tuple[str, ...],
        auto_finalize: bool,
        grace_hours: int | None,
    ) -> BillRun:
        starts_on, ends_on = month_window(month)
        return bill_run_start(
            tenant=tenant,
            starts_on=starts_on,
            ends_on=ends_on,
            customers=customers,
            auto_finalize=auto_finalize,
            grace_hours=grace_hours,
        )

    def response_post_save_add(self, request: HttpRequest, obj: BillRun) -> HttpResponse:
        return redirect(page_of(obj))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        progress = bill_run_progress(run)
        # What failed needs somebody, so it stands first.
        first = Case(
            When(status=BillRunItem.Status.FAILED, then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        items = bill_run_items_for(run)
        shown = items.order_by(first, *items.query.order_by)[:ITEMS_SHOWN]
        context = {
            "run": run,
            "run_colour": COLOURS[run.status],
            "progress": progress,
            "percent_done": round(100 * (progress.total - progress.pending) / progress.total)
            if progress.total
            else 100,
            "items": [(item, COLOURS[item.status]) for item in shown],
            "items_more": max(0, progress.total - ITEMS_SHOWN),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)
