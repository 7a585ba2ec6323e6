"""The doors to the tax table; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import TaxRate


def tax_rates_for(tenant: Tenant) -> QuerySet[TaxRate]:
    return TaxRate.objects.of(tenant)


def tax_rates_listed(tenant: Tenant, *, jurisdiction: str | None = None) -> QuerySet[TaxRate]:
    return tax_rates_for(tenant).filter(**given(jurisdiction=jurisdiction))


def tax_rate_for(tenant: Tenant, rate_id: UUID) -> TaxRate:
    """Raises Problem not_found."""
    return found(tax_rates_for(tenant), pk=rate_id)
