"""A small catalog to test with: one published plan and its offering, and subscriptions on it."""

from __future__ import annotations

from typing import Any

from aforo.tenancy.models import Tenant
from billing.models import RatePlanVersion, Subscription
from billing.services.catalog import (
    offering_create,
    product_create,
    rate_plan_create,
    version_draft,
    version_publish,
    version_replace,
)
from billing.services.subscriptions import subscription_create

BASE_FEE = {"code": "base", "name": "Base fee", "kind": "FEE", "model": "FLAT_RATE", "amount": "49.09"}
CALLS = {
    "code": "calls",
    "name": "Calls",
    "model": "PER_UNIT",
    "meter": "api.call",
    "unit_price": "0.001",
    "included_units": "1000",
}


def published(
    tenant: Tenant, plan: str = "standard", charges: Any = (BASE_FEE, CALLS), currency: str = "USD"
) -> RatePlanVersion:
    """A published version 1 of a new plan of a new product of the same name."""
    product_create(tenant=tenant, code=plan, name=plan)
    rate_plan_create(tenant=tenant, product=plan, code=plan, name=plan, currency=currency)
    version_draft(tenant=tenant, plan=plan)
    version_replace(tenant=tenant, plan=plan, version=1, charges=charges)
    return version_publish(tenant=tenant, plan=plan, version=1)


def on_sale(tenant: Tenant, offering: str = "standard", **changes: Any) -> RatePlanVersion:
    """The same in an offering of the same code."""
    version = published(tenant, plan=offering, **changes)
    offering_create(tenant=tenant, code=offering, name=offering, plans=[offering])
    return version


def subscribed(tenant: Tenant, code: str = "sub-1", **changes: Any) -> Subscription:
    """A subscription of cust_abc to the offering `standard`, which is there already."""
    fields = {"customer": "cust_abc", "offering": "standard", **changes}
    return subscription_create(tenant=tenant, code=code, **fields)
