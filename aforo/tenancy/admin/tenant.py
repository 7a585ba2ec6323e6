"""Tenants: made in pairs, live and test; and the one that the person works in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from ..models import Tenant
from ..services.tenants import tenant_create
from .buttons import button
from .rows import TenantAdmin
from .workspace import tenant_choose


class TenantForm(forms.ModelForm):
    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if Tenant.objects.filter(slug=slug).exists():
            raise forms.ValidationError(f"There is a tenant {slug!r} already.")
        return slug


@admin.register(Tenant)
class TenantsAdmin(ModelAdmin):
    form = TenantForm
    list_display = ("slug", "environment_label", "name", "timezone", "currency", "created_at")
    list_filter = (("environment", ChoicesDropdownFilter),)
    search_fields = ("slug", "name")
    fields = ("slug", "name", "timezone", "currency")
    formfield_overrides = TenantAdmin.formfield_overrides
    actions = None
    actions_detail = ("work_in",)
    empty_state = "A tenant is a provider of APIs: its keys, prices, customers and money. Make the first one."

    @display(description="Environment", label={"Live": "success", "Test": "info"})
    def environment_label(self, tenant: Tenant) -> str:
        return tenant.get_environment_display()

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_staff

    def save_model(self, request: HttpRequest, obj: Tenant, form: TenantForm, change: bool) -> None:
        made = tenant_create(**form.cleaned_data)
        obj.__dict__.update(made.__dict__)
        tenant_choose(request, made)

    @button(
        "Work in this tenant",
        icon="login",
        says="Every page then shows this tenant's rows, and new rows belong to it.",
    )
    def work_in(self, request: HttpRequest, tenant: Tenant) -> str | HttpResponse:
        tenant_choose(request, tenant)
        return f"You work in {tenant} now."
