"""Customers: whom the tenant bills."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter

from ..models import Customer, Tenant
from ..services.customers import customer_create, customer_update
from .rows import TenantAdmin
from .workspace import tenant_of_request


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the services take them: a parent by its external_id."""
    parent = fields.get("parent")
    return {**fields, "parent": parent.external_id} if parent else fields


@admin.register(Customer)
class CustomerAdmin(TenantAdmin):
    own_name = "external_id"
    fixed_fields = ("external_id",)
    list_display = ("external_id", "name", "email", "currency", "timezone", "country", "vat_number", "parent")
    list_select_related = ("parent",)
    list_filter = (("is_tax_exempt", BooleanRadioFilter),)
    search_fields = ("external_id", "name", "email")
    autocomplete_fields = ("parent",)
    fieldsets = (
        (None, {"fields": (("external_id", "name"), "email")}),
        ("Billing", {"fields": (("currency", "timezone"), "parent")}),
        (
            "Tax",
            {
                "fields": (
                    ("country", "tax_jurisdiction"),
                    ("vat_number", "vat_confirmed_on"),
                    "is_tax_exempt",
                )
            },
        ),
    )
    empty_state = "A customer is a party you bill. Events name it by its external id, such as cust_abc."

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        own = {"currency": tenant.currency, "timezone": tenant.timezone} if tenant else {}
        return {**own, **super().get_changeform_initial_data(request)}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "parent":
            field.help_text = "The customer that pays; empty: this one."
        return field

    def create(self, tenant: Tenant, **fields: Any) -> Customer:
        return customer_create(tenant=tenant, **_named(fields))

    def update(self, tenant: Tenant, row: Customer, **changes: Any) -> Customer:
        return customer_update(tenant=tenant, external_id=row.external_id, **_named(changes))
