"""The billing profile: one a tenant, so its list is its page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from aforo.tenancy.admin.profile import ProfileAdmin
from aforo.tenancy.admin.rows import RowForm
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import BillingProfile
from ..services.profiles import billing_profile_set


class BillingProfileForm(RowForm):
    tax_engine_secret = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget,
        help_text="whsec_…: questions to the engine are signed with it. Empty: as it is.",
    )

    def clean_tax_engine_secret(self) -> str | None:
        return self.cleaned_data["tax_engine_secret"] or None


@admin.register(BillingProfile)
class BillingProfileAdmin(ProfileAdmin):
    form = BillingProfileForm
    readonly_fields = ("is_tax_engine_signed",)
    fieldsets = (
        ("On every invoice", {"fields": ("legal_name", "legal_address", "number_prefix")}),
        ("Money", {"fields": ("rounding", "grace_hours", "pays_across_currencies")}),
        ("Tax", {"fields": (("country", "vat_number"),)}),
        (
            "Tax engine",
            {
                "fields": (
                    ("tax_engine", "tax_engine_url"),
                    ("tax_engine_secret", "is_tax_engine_signed"),
                )
            },
        ),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        return {"legal_name": tenant.name} if tenant else {}

    @display(description="Questions are signed", boolean=True)
    def is_tax_engine_signed(self, profile: BillingProfile) -> bool:
        return profile.is_tax_engine_signed

    def create(self, tenant: Tenant, **fields: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: BillingProfile, **changes: Any) -> BillingProfile:
        return billing_profile_set(tenant=tenant, **changes)
