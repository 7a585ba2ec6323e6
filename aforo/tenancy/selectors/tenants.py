"""The doors to tenants and customers; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem

from ..models import ApiKey, Customer, Environment, Tenant
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


def tenants_all() -> QuerySet[Tenant]:
    """For what is done for each of them in turn."""
    return Tenant.objects.order_by("pk")


def tenant_of(tenant_id: int) -> Tenant:
    """The tenant that a task names. Raises Problem not_found."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise Problem("not_found", f"No tenant {tenant_id}.")
    return tenant


def customers_for(tenant: Tenant) -> QuerySet[Customer]:
    return Customer.objects.of(tenant).order_by("id")


def customers_listed(tenant: Tenant, *, parent: str | None = None, **equal: str) -> QuerySet[Customer]:
    """With their parents. parent: external_id of the parent; equal: columns and their values."""
    customers = customers_for(tenant).select_related("parent").filter(**equal)
    return customers if parent is None else customers.filter(parent__external_id=parent)


def customer_for(tenant: Tenant, external_id: str) -> Customer:
    """Raises Problem not_found."""
    return found(customers_for(tenant), external_id=external_id)


def api_keys_for(tenant: Tenant) -> QuerySet[ApiKey]:
    return ApiKey.objects.of(tenant).select_related("tenant")


def api_keys_listed(tenant: Tenant, *, state: str | None = None) -> QuerySet[ApiKey]:
    """state: as of ApiKey.state; all of them if left out."""
    keys = api_keys_for(tenant)
    match state:
        case None:
            return keys
        case "REVOKED":
            return keys.filter(revoked_at__isnull=False)
        case "EXPIRED":
            return keys.filter(revoked_at=None, expires_at__lte=now())
        case _:
            working = keys.filter(Q(expires_at=None) | Q(expires_at__gt=now()), revoked_at=None)
            is_asked = (state == "TEST") == (tenant.environment == Environment.TEST)
            return working if is_asked else working.none()


def api_key_for(tenant: Tenant, key_id: UUID) -> ApiKey:
    """Raises Problem not_found."""
    return found(api_keys_for(tenant), pk=key_id)
