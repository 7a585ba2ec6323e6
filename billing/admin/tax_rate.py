"""The tax table: rates by jurisdiction, each in force on its own days."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import FieldTextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSingleDateWidget

from aforo.tenancy.admin.buttons import Ask, button
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import TaxRate
from ..services.tax import tax_rate_create, tax_rate_end
from .base import number


class End(Ask):
    ends_on = forms.DateField(label="First day without it", widget=UnfoldAdminSingleDateWidget)


@admin.register(TaxRate)
class TaxRateAdmin(TenantAdmin):
    list_display = (
        *("jurisdiction", "name", "rate", "tax_category", "position", "is_compound", "is_inclusive"),
        *("starts_on", "ends_on"),
    )
    list_filter = (("jurisdiction", FieldTextFilter),)
    list_filter_submit = True
    search_fields = ("jurisdiction", "name")
    fieldsets = (
        (None, {"fields": (("jurisdiction", "name"), ("percent", "is_inclusive"), "tax_category")}),
        ("Beside other taxes", {"fields": (("position", "is_compound"),)}),
        ("In force", {"fields": (("starts_on", "ends_on"),)}),
    )
    actions_detail = ("end",)
    empty_state = (
        "A customer's jurisdiction finds its rates here; without one its invoices carry no tax. "
        "manage.py tax_rates import eu adds the standard rates of the EU."
    )

    @display(description="Rate", ordering="percent")
    def rate(self, rate: TaxRate) -> str:
        return f"{number(rate.percent)} %"

    def create(self, tenant: Tenant, **fields: Any) -> TaxRate:
        return tax_rate_create(tenant=tenant, **fields)

    @button(
        "End",
        icon="event_busy",
        ask=End,
        says="Ends the rate, so that another can follow. Invoices keep the rate they were made with.",
    )
    def end(self, request: HttpRequest, rate: TaxRate, ends_on: date) -> str:
        tax_rate_end(tenant=tenant_of_request(request), rate_id=rate.pk, ends_on=ends_on)
        return f"{rate} ends; {ends_on} is the first day without it."
