"""The margin dashboard: who costs more than it should, and what the guard has done about it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from aforo.kernel.clock import now
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from billing.documents.numbers import DEFAULT, money_text
from entitlements.margin import margin_percent
from entitlements.selectors.margin import margin_events_for, margin_policies_for, margins_for

CUSTOMERS_SHOWN = 20
DAYS_SHOWN = 30
# One customer far below would make flat lines of the others.
PERCENT_SHOWN_MIN = -100.0
COLOURS = ("#16a34a", "#eab308", "#f97316", "#dc2626")


def margins_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("entitlements.view_marginstate"):
        raise PermissionDenied
    tenant = tenant_of_request(request)
    context = {
        **admin.site.each_context(request),
        "title": "Margins",
        "has_policy": tenant is not None and margin_policies_for(tenant, is_active=True).exists(),
        "policy_add": reverse("admin:entitlements_marginpolicy_add"),
        **(_figures(tenant) if tenant else {}),
    }
    return TemplateResponse(request, "console/margins.html", context)


def _figures(tenant: Tenant) -> dict[str, Any]:
    margins = margins_for(tenant)
    levels = Counter(dict(margins.order_by().values_list("level").annotate(count=Count("pk"))))
    totals = (
        margins.order_by("currency").values("currency").annotate(earned=Sum("revenue"), spent=Sum("cost"))
    )
    worst = list(margins.filter(percent__isnull=False).order_by("percent")[:CUSTOMERS_SHOWN])
    return {
        "judged": levels.total(),
        "levels": [(f"L{level}", levels[level]) for level in (1, 2, 3)],
        "totals": [_total(**each) for each in totals],
        "tripped": [
            {
                "state": state,
                "revenue": money_text(state.revenue, state.currency, DEFAULT),
                "cost": money_text(state.cost, state.currency, DEFAULT),
            }
            for state in margins.filter(level__gt=0)[:CUSTOMERS_SHOWN]
        ],
        "by_customer": _bars(
            [state.customer.external_id for state in worst],
            [
                (
                    "Margin, percent",
                    [max(PERCENT_SHOWN_MIN, float(state.percent)) for state in worst],
                    [COLOURS[state.level] for state in worst],
                )
            ],
        ),
        "trend": _trend(tenant),
    }


def _total(currency: str, earned: Decimal, spent: Decimal) -> dict[str, Any]:
    return {
        "revenue": money_text(earned, currency, DEFAULT),
        "cost": money_text(spent, currency, DEFAULT),
        "percent": margin_percent(earned, spent),
    }


def _trend(tenant: Tenant) -> dict[str, str]:
    """Trips and releases of each of the last days, in the tenant's zone."""
    today = now().astimezone(tenant.zone).date()
    days = [today - timedelta(days=back) for back in range(DAYS_SHOWN - 1, -1, -1)]
    counted: dict[tuple[Any, str], int] = defaultdict(int)
    rows = margin_events_for(tenant).order_by().annotate(on=TruncDate("at", tzinfo=tenant.zone))
    for on, kind, count in rows.filter(on__gte=days[0]).values_list("on", "kind").annotate(count=Count("pk")):
        counted[on, kind] = count
    series = (("Tripped", "TRIPPED", COLOURS[3]), ("Released", "RELEASED", COLOURS[0]))
    return _bars(
        [f"{day:%d %b}" for day in days],
        [(label, [counted[day, kind] for day in days], colour) for label, kind, colour in series],
    )


def _bars(labels: list[str], series: list[tuple[str, list[Any], Any]]) -> dict[str, str]:
    data = {
        "labels": labels,
        "datasets": [
            {"label": name, "data": values, "backgroundColor": colour} for name, values, colour in series
        ],
    }
    options = {
        "responsive": True,
        "maintainAspectRatio": False,
        "scales": {"x": {"grid": {"display": False}}, "y": {"ticks": {"precision": 0}}},
        "plugins": {"legend": {"display": len(series) > 1, "position": "bottom"}},
    }
    return {"data": json.dumps(data), "options": json.dumps(options)}
