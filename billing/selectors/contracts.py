"""The doors to contracts; each asks for the tenant."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import Contract


def contracts_for(tenant: Tenant) -> QuerySet[Contract]:
    """With subscription and customer."""
    return Contract.objects.of(tenant).select_related("subscription__customer")


def contracts_listed(tenant: Tenant, *, subscription: str | None = None) -> QuerySet[Contract]:
    """subscription: its code."""
    return contracts_for(tenant).filter(**given(subscription__code=subscription))


def contract_for(tenant: Tenant, code: str) -> Contract:
    """Raises Problem not_found."""
    return found(contracts_for(tenant), code=code)
