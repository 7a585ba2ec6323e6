"""What one customer may use, how much of it is left, and which rules say so."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from aforo.kernel.clock import now
from aforo.kernel.decimals import trimmed
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Customer, Tenant
from entitlements.selectors.balances import Balance, balances_of
from entitlements.selectors.features import features_for


def in_force_page(request: HttpRequest) -> HttpResponse:
    """Query: customer, an external_id."""
    if not request.user.has_perm("entitlements.view_entitlement"):
        raise PermissionDenied
    tenant = tenant_of_request(request)
    name = request.GET.get("customer", "").strip()
    customer = Customer.objects.of(tenant).filter(external_id=name).first() if tenant else None
    context = {
        **admin.site.each_context(request),
        "title": f"What {name} may use" if customer else "What a customer may use",
        "asked": name,
        "customer": customer,
        **(_figures(tenant, customer) if tenant and customer else {}),
    }
    return TemplateResponse(request, "console/in_force.html", context)


def _figures(tenant: Tenant, customer: Customer) -> dict[str, Any]:
    found = balances_of(tenant, customer, now())
    return {
        "terms": found.terms,
        "rows": [_row(one) for one in found.entitlements],
        "missing": features_for(tenant, is_archived=False).exclude(code__in=found.terms.features),
    }


def _row(one: Balance) -> dict[str, Any]:
    terms = one.terms
    is_metered = terms.meter is not None
    return {
        "feature": terms.feature,
        "layer": terms.in_force.layer.capitalize(),
        "why": terms.in_force.sentence if is_metered or terms.in_force.value else "on",
        "limit": "–" if not is_metered else "none" if terms.limit is None else trimmed(terms.limit),
        "limit_type": terms.in_force.limit_type if terms.limit is not None else "",
        "from_grants": trimmed(terms.extra) if terms.extra else "",
        "used": trimmed(one.used) if is_metered else "–",
        "left": "–" if one.remaining is None else trimmed(one.remaining),
        "resets_at": terms.window.resets_at if is_metered else None,
    }
