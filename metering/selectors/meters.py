"""The doors to meters; each asks for the tenant."""

from __future__ import annotations

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.models.base import TenantQuerySet

from ..models import MeterRow


def meters_for(tenant: Tenant) -> TenantQuerySet:
    return MeterRow.objects.of(tenant).order_by("id")


def meter_for(tenant: Tenant, key: str) -> MeterRow:
    """Raises Problem not_found."""
    meter = meters_for(tenant).filter(key=key).first()
    if meter is None:
        raise Problem("not_found", f"No meter {key!r}.")
    return meter
