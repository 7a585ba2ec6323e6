"""Exemption certificates: by which a customer pays no tax of a jurisdiction."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import FieldTextFilter
from unfold.widgets import UnfoldAdminSingleDateWidget

from aforo.tenancy.admin.buttons import Ask, button
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Customer, Tenant

from ..models import TaxExemption
from ..services.tax import tax_exemption_create, tax_exemption_end


class End(Ask):
    ends_on = forms.DateField(label="First day without it", widget=UnfoldAdminSingleDateWidget)


@admin.register(TaxExemption)
class TaxExemptionAdmin(TenantAdmin):
    own_name = "number"
    list_display = ("number", "customer", "jurisdiction", "reason", "starts_on", "ends_on")
    list_select_related = ("customer",)
    list_filter = (("jurisdiction", FieldTextFilter),)
    list_filter_submit = True
    search_fields = ("number", "customer__external_id", "customer__name")
    autocomplete_fields = ("customer",)
    fieldsets = (
        (None, {"fields": ("customer", ("number", "reason"), ("jurisdiction", "document_reference"))}),
        ("In force", {"fields": (("starts_on", "ends_on"),)}),
    )
    actions_detail = ("end",)
    empty_state = "A certificate by which a customer pays no tax, such as one for resale; invoices name it."

    def create(self, tenant: Tenant, *, customer: Customer, **fields: Any) -> TaxExemption:
        return tax_exemption_create(tenant=tenant, customer=customer.external_id, **fields)

    @button(
        "End or prolong",
        icon="event_busy",
        ask=End,
        says="Says until when the certificate is valid. Invoices keep what they were made with.",
    )
    def end(self, request: HttpRequest, exemption: TaxExemption, ends_on: date) -> str:
        tax_exemption_end(tenant=tenant_of_request(request), exemption_id=exemption.pk, ends_on=ends_on)
        return f"{exemption} ends; {ends_on} is the first day without it."
