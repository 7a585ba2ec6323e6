"""The doors to meters; each asks for the tenant."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import MeterRow


def meters_for(tenant: Tenant) -> QuerySet[MeterRow]:
    return MeterRow.objects.of(tenant).order_by("id")


def meters_listening(tenant: Tenant, metric: str) -> QuerySet[MeterRow]:
    """The meters that listen to a metric: those that name it, and the one whose key it is."""
    return meters_for(tenant).filter(Q(event_name=metric) | Q(event_name="", key=metric))


def meter_for(tenant: Tenant, key: str) -> MeterRow:
    """Raises Problem not_found."""
    return found(meters_for(tenant), key=key)
