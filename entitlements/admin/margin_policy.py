"""Margin policies: floors and what happens below, and what each would have done."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from aforo.kernel.decimals import rounded, trimmed
from aforo.tenancy.admin.buttons import link
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import MarginPolicy
from ..services.margin_dry_run import DAYS, DryRun, margin_dry_run
from ..services.margins import margin_policy_create, margin_policy_draft, margin_policy_edit
from .base import ActorAdmin

# A page is waited for; the command looks at all customers.
CUSTOMERS_MAX = 20


@admin.register(MarginPolicy)
class MarginPolicyAdmin(ActorAdmin):
    list_display = ("code", "name", "holds_for", "floors", "mode", "is_active")
    list_filter = (("scope", ChoicesDropdownFilter), ("mode", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("code", "name", "owner")
    fieldsets = (
        (None, {"fields": (("code", "name"), ("mode", "is_active"))}),
        ("Holds for", {"fields": (("scope", "owner"),)}),
        ("Margin", {"fields": (("window", "window_days"), ("minimum_revenue", "currency"))}),
        ("Floors", {"fields": (("floor_1", "floor_2"), ("floor_3", "hysteresis"))}),
        (
            "When enforced",
            {"fields": (("throttle_percent", "downgrades"), ("retry_after_2_s", "retry_after_3_s"))},
        ),
    )
    # No conditional_fields: they would name a field `window` in the page's scripts, and hide the browser's own.
    fixed_fields = ("code",)
    actions_detail = ("dry_run",)
    empty_state = (
        "A policy says how low a customer's margin may fall. It warns until its mode is Enforce; its dry run shows what it "
        "would have done."
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        own = {"currency": tenant.currency} if tenant else {}
        return {**own, **super().get_changeform_initial_data(request)}

    @display(description="Holds for", ordering="scope")
    def holds_for(self, policy: MarginPolicy) -> str:
        named = f" {policy.owner}" if policy.owner else ""
        return f"{policy.get_scope_display()}{named}"

    @display(description="L1 / L2 / L3")
    def floors(self, policy: MarginPolicy) -> str:
        return " / ".join(f"{trimmed(floor)} %" for floor in policy.policy().floors)

    def create(self, tenant: Tenant, **fields: Any) -> MarginPolicy:
        return margin_policy_create(tenant=tenant, actor=self.actor, **fields)

    def update(self, tenant: Tenant, row: MarginPolicy, **changes: Any) -> MarginPolicy:
        return margin_policy_edit(tenant=tenant, actor=self.actor, code=row.code, **changes)

    @link("Dry run", icon="experiment")
    def dry_run(self, request: HttpRequest, policy: MarginPolicy) -> HttpResponse:
        tenant = tenant_of_request(request)
        draft = margin_policy_draft(tenant=tenant, code=policy.code, mode=MarginPolicy.Mode.ENFORCE)
        run = margin_dry_run(tenant=tenant, policy=draft, count_max=CUSTOMERS_MAX)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Dry run of {policy}",
            "policy": policy,
            "run": run,
            "days": DAYS,
            "chart": _chart(run),
            "rows": [
                {
                    "customer": one.customer,
                    "level": one.level_max,
                    "percent": one.days[-1].percent,
                    "calls": one.calls,
                    "withheld": one.withheld,
                    "avoided": rounded(one.cost_avoided, places=2, mode="half_up"),
                    "kept": rounded(one.revenue_kept, places=2, mode="half_up"),
                }
                for one in run.customers
            ],
        }
        return TemplateResponse(request, "entitlements/admin/dry_run.html", context)


def _chart(run: DryRun) -> dict[str, str]:
    """Calls of each day, let through and refused, for Chart.js."""
    days = [one.days for one in run.customers]
    sums = [
        (sum(day.calls for day in each), sum(day.withheld for day in each))
        for each in zip(*days, strict=True)
    ]
    bars = (
        ("Let through", [calls - withheld for calls, withheld in sums], "var(--color-primary-600)"),
        ("Refused", [withheld for _, withheld in sums], "#f97316"),
    )
    labels = [f"{day.on:%d %b}" for day in days[0]] if days else []
    data = {
        "labels": labels,
        "datasets": [
            {"label": name, "data": values, "backgroundColor": colour} for name, values, colour in bars
        ],
    }
    options = {
        "responsive": True,
        "maintainAspectRatio": False,
        "scales": {
            "x": {"stacked": True, "grid": {"display": False}},
            "y": {"stacked": True, "beginAtZero": True, "ticks": {"precision": 0}},
        },
        "plugins": {"legend": {"display": True, "position": "bottom"}},
    }
    return {"data": json.dumps(data), "options": json.dumps(options)}
