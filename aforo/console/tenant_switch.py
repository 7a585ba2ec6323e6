"""Switching the tenant that one works in."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_POST

from aforo.kernel.errors import Problem
from aforo.tenancy.admin.workspace import tenant_choose
from aforo.tenancy.selectors.tenants import tenant_of

# Pages that every tenant has; a page on one row has no twin in another tenant.
_KEPT = ("_changelist", "_add", "console-events", "console-edge-sites", "console-edge-reconciliation")


@require_POST
def tenant_switch(request: HttpRequest) -> HttpResponse:
    """Work in another tenant. Body: tenant (its id), next (the path one comes from)."""
    try:
        tenant_choose(request, tenant_of(int(request.POST.get("tenant", ""))))
    except (Problem, ValueError):
        raise Http404("No such tenant.") from None
    return redirect(_page(request.POST.get("next", "")))


def _page(came_from: str) -> str:
    """The same page where it is there in every tenant, else the home page; never another site."""
    try:
        name = resolve(came_from).url_name or ""
    except Resolver404:
        return "admin:index"
    return came_from if name.endswith(_KEPT) else "admin:index"
