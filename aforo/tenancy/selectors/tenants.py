"""The doors to tenants and customers; each asks for the tenant."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.kernel.errors import Problem

from ..models import ApiKey, Customer, Tenant
from .rows import found


def tenant_by_slug(slug: str, *, environment: str = "live") -> Tenant:
    """Raises Problem not_found."""
    tenant = Tenant.objects.filter(slug=slug, environment=environment).first()
    if tenant is None:
        known = ", ".join(Tenant.objects.values_list("slug", flat=True).distinct()[:10]) or "none"
        raise Problem(
            "not_found", f"No tenant {slug!r} in the {environment} environment; there are: {known}."
        )
    return tenant


def tenant_of(tenant_id: int) -> Tenant:
    """The tenant that a task names. Raises Problem not_found."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise Problem("not_found", f"No tenant {tenant_id}.")
    return tenant


def customers_for(tenant: Tenant) -> QuerySet[Customer]:
    return Customer.objects.of(tenant).order_by("id")


def customer_for(tenant: Tenant, external_id: str) -> Customer:
    """Raises Problem not_found."""
    return found(customers_for(tenant), external_id=external_id)


def api_keys_for(tenant: Tenant) -> QuerySet[ApiKey]:
    return ApiKey.objects.of(tenant).select_related("tenant")
