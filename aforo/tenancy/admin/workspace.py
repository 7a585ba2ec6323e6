"""The tenant that a signed-in person works in: one at a time, kept in the session."""

from __future__ import annotations

from django.http import HttpRequest

from ..models import Tenant

SESSION_KEY = "tenant_id"


def tenant_of_request(request: HttpRequest) -> Tenant | None:
    """The tenant chosen in this session, else the first one; None where there is none yet."""
    if not hasattr(request, "chosen_tenant"):
        tenants = Tenant.objects.order_by("slug", "environment")
        chosen = tenants.filter(pk=request.session.get(SESSION_KEY)).first()
        request.chosen_tenant = chosen or tenants.first()  # type: ignore[attr-defined]
    return request.chosen_tenant  # type: ignore[attr-defined]


def tenant_choose(request: HttpRequest, tenant: Tenant) -> None:
    """From now on the person works in this tenant."""
    request.session[SESSION_KEY] = tenant.pk
    request.chosen_tenant = tenant  # type: ignore[attr-defined]
