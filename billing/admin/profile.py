"""The billing profile: one a tenant, so its list is its page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from aforo.tenancy.admin.buttons import page_of
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import BillingProfile
from ..services.profiles import billing_profile_set
from .base import BillingAdmin


@admin.register(BillingProfile)
class BillingProfileAdmin(BillingAdmin):
    fieldsets = (
        ("On every invoice", {"fields": ("legal_name", "legal_address", "number_prefix")}),
        ("Money", {"fields": ("rounding",)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not self.get_queryset(request).exists()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        return {"legal_name": tenant.name} if tenant else {}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        profile = self.get_queryset(request).first()
        if profile is not None:
            return redirect(page_of(profile))
        if self.has_add_permission(request):
            return redirect(reverse("admin:billing_billingprofile_add"))
        return super().changelist_view(request, extra_context)

    def create(self, tenant: Tenant, **fields: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: BillingProfile, **changes: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **changes)
