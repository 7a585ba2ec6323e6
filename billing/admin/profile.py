"""The billing profile: one a tenant, so its list is its page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aforo.tenancy.admin.profile import ProfileAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import BillingProfile
from ..services.profiles import billing_profile_set
from .base import BillingAdmin


@admin.register(BillingProfile)
class BillingProfileAdmin(ProfileAdmin, BillingAdmin):
    fieldsets = (
        ("On every invoice", {"fields": ("legal_name", "legal_address", "number_prefix")}),
        ("Money", {"fields": ("rounding",)}),
        ("Tax", {"fields": (("country", "vat_number"),)}),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        return {"legal_name": tenant.name} if tenant else {}

    def create(self, tenant: Tenant, **fields: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: BillingProfile, **changes: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **changes)
