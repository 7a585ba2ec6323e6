"""A provider to test with: its tenant, a key, one customer and the meter of the quick start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.api_keys import api_key_create
from aforo.tenancy.services.tenants import tenant_create
from metering.models import MeterRow


@dataclass(frozen=True)
class Workspace:
    """key: the full text of a key with every scope."""

    tenant: Tenant
    key: str
    customer: Customer
    meter: MeterRow


def workspace(slug: str = "acme_corp") -> Workspace:
    """A tenant with the customer cust_abc and the meter api.call, which counts events."""
    tenant = tenant_create(slug=slug, name=slug)
    _, key = api_key_create(tenant=tenant, name="tests")
    return Workspace(tenant, key, customer(tenant), meter(tenant))


def customer(tenant: Tenant, external_id: str = "cust_abc", **changes: Any) -> Customer:
    return Customer.objects.create(tenant=tenant, external_id=external_id, name=external_id, **changes)


def meter(tenant: Tenant, key: str = "api.call", aggregation: str = "COUNT", **changes: Any) -> MeterRow:
    return MeterRow.objects.create(tenant=tenant, key=key, aggregation=aggregation, **changes)
