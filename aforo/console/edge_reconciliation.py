"""What the edge counts as used, beside what is billed: some customers at a time, and what does not agree in red."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from redis import RedisError

from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from entitlements.edge.reconciliation import Reconciled, ReconciledPage, edge_reconcile_page
from entitlements.records import units_text
from entitlements.selectors.features import features_for

# Every event of their windows is read.
CUSTOMERS_A_PAGE = 20


def edge_reconciliation_page(request: HttpRequest) -> HttpResponse:
    """Query: customer, an external_id; feature, a code; after, the last customer of the page before. Empty ones: all.

    Nothing is compared before somebody asks.
    """
    if not request.user.has_perm("entitlements.view_entitlement"):
        raise PermissionDenied
    tenant = tenant_of_request(request)
    asked = {name: request.GET.get(name, "").strip() for name in ("customer", "feature", "after")}
    page = _compared(tenant, asked) if tenant and "customer" in request.GET else None
    context = {
        **admin.site.each_context(request),
        "title": "Reconciliation of the edge",
        "asked": asked,
        "features": features_for(tenant, kind="METERED", is_archived=False) if tenant else [],
        "is_asked": tenant is not None and "customer" in request.GET,
        "page": page,
        "rows": [_row(one) for one in page.rows] if page else [],
        "drifting": sum(1 for one in page.rows if one.drift) if page else 0,
        "further": _query({**asked, "after": page.next}) if page and page.next else "",
        "again": _query(asked),
        "customers_a_page": CUSTOMERS_A_PAGE,
    }
    return TemplateResponse(request, "console/edge_reconciliation.html", context)


def _compared(tenant: Tenant, asked: dict[str, str]) -> ReconciledPage | None:
    """None where the central site does not answer."""
    try:
        return edge_reconcile_page(
            tenant,
            count_max=CUSTOMERS_A_PAGE,
            customer=asked["customer"] or None,
            feature=asked["feature"] or None,
            after=asked["after"],
        )
    except RedisError:
        return None


def _row(one: Reconciled) -> dict[str, Any]:
    def text(units: int) -> str:
        return units_text(units, one.places)

    return {
        "compared": one,
        "billed": text(one.billed),
        "counted": text(one.counted),
        "site": "none" if one.site is None else text(one.site),
        "held": text(one.held),
    }


def _query(asked: dict[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.update(asked)
    return query.urlencode()
