"""Offerings: what customers buy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from aforo.tenancy.admin.buttons import page_of
from aforo.tenancy.admin.rows import RowForm, RowInline, TenantAdmin
from aforo.tenancy.models import Tenant

from ..models import Offering, OfferingPlan, RatePlan
from ..selectors.catalog import offering_for
from ..services.catalog import offering_create


class OfferingForm(RowForm):
    plans = forms.ModelMultipleChoiceField(
        queryset=RatePlan.objects.none(),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Of one currency. A standalone offering is sold with one of them, a bundle or an add-on with all.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "plans" in self.fields:
            self.fields["plans"].queryset = RatePlan.objects.of(self.tenant)


class PlanInline(RowInline):
    model = OfferingPlan
    verbose_name_plural = "Rate plans"
    fields = readonly_fields = ("rate_plan", "currency")

    @display(description="Rate plan")
    def rate_plan(self, entry: OfferingPlan) -> str:
        return format_html('<a href="{}" class="text-primary-600">{}</a>', page_of(entry.plan), entry.plan)

    @display(description="Currency")
    def currency(self, entry: OfferingPlan) -> str:
        return entry.plan.currency


@admin.register(Offering)
class OfferingAdmin(TenantAdmin):
    form = OfferingForm
    list_display = ("code", "name", "kind", "billing_mode", "interval", "currency", "plan_names")
    list_filter = (("kind", ChoicesDropdownFilter), ("billing_mode", ChoicesDropdownFilter))
    search_fields = ("code", "name")
    add_fieldsets = (
        (None, {"fields": (("code", "name"), "kind", "plans", ("billing_mode", "payment_terms_days"))}),
        ("Periods", {"fields": (("interval", "alignment"), ("trial_days", "setup_fee"))}),
    )
    fieldsets = (
        (None, {"fields": (("code", "name"), ("kind", "currency"), ("billing_mode", "payment_terms_days"))}),
        ("Periods", {"fields": (("interval", "alignment"), ("trial_days", "setup_fee"))}),
    )
    inlines = (PlanInline,)
    empty_state = "An offering is what customers buy: one or more rate plans, and how they pay."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("plans__plan")

    @display(description="Rate plans")
    def plan_names(self, offering: Offering) -> str:
        return ", ".join(entry.plan.name for entry in offering.plans.all())

    def create(self, tenant: Tenant, *, plans: QuerySet, **fields: Any) -> Offering:
        offering_create(tenant=tenant, plans=[plan.code for plan in plans], **fields)
        return offering_for(tenant, fields["code"])
