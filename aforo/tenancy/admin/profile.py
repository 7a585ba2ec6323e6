"""The base of a page on the one row that a tenant has of a kind: its list is its page."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from .buttons import page_of
from .rows import TenantAdmin


class ProfileAdmin(TenantAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not self.get_queryset(request).exists()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        profile = self.get_queryset(request).first()
        if profile is not None:
            return redirect(page_of(profile))
        if self.has_add_permission(request):
            return redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_add"))
        return super().changelist_view(request, extra_context)
