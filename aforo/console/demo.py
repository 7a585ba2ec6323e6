"""The demo: one tenant, one customer and one plan, on which `make demo` bills an hour of real LLM traffic.

Everything is made through the services that the API and the admin use.

By hand, for the whole recording (19,366 requests, 22,361,870 input and 4,088,665 output tokens):
    input      10,000,000 x 0.0000025 + 12,361,870 x 0.0000020      49.72374  ->  49.72
    output     (4,088,665 - 500,000) x 0.00001                      35.88665  ->  35.89
    requests   19,366 - 10,000 = 9,366, ten blocks of 1,000 x 0.10                 1.00
    base fee                                                                      49.09
    subtotal 135.70, less 5 % (6.785 -> 6.79) 128.91, plus 8.875 % (11.44076 -> 11.44) = 140.35
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_text
from aforo.kernel.periods import month_later
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.api_keys import api_key_create, api_key_recognise
from aforo.tenancy.services.customers import customer_create
from aforo.tenancy.services.tenants import tenant_create
from billing.selectors.subscriptions import subscriptions_for
from billing.services.catalog import (
    charge_add,
    offering_create,
    product_create,
    rate_plan_create,
    version_draft,
    version_publish,
)
from billing.services.coupons import coupon_attach, coupon_create
from billing.services.profiles import billing_profile_set
from billing.services.subscriptions import subscription_create
from billing.services.tax import tax_rate_create
from entitlements.selectors.features import features_for
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from metering.recordings import LLM_METRIC
from metering.services.meters import meter_create

TENANT = "acme_corp"
CUSTOMER = "cust_abc"
SUBSCRIPTION = "llm-demo"
PLAN = "llm-payg"
FEATURE = "advanced_ai_search"
ADMIN = "admin"
RECORDING = Path(settings.BASE_DIR) / "sandbox" / "data" / "azure_llm_conv_2023.csv"
RECORDING_FORM = "llm-csv"
KEY_PREFIX = "azure-conv-2023"

METERS: tuple[dict[str, Any], ...] = (
    {"key": "api.call", "name": "API calls", "unit": "call"},
    {
        "key": "llm.requests",
        "name": "LLM requests",
        "event_name": LLM_METRIC,
        "aggregation": "COUNT",
        "unit": "request",
    },
    {
        "key": "llm.input_tokens",
        "name": "Input tokens",
        "event_name": LLM_METRIC,
        "value_property": "input_tokens",
        "unit": "token",
    },
    {
        "key": "llm.output_tokens",
        "name": "Output tokens",
        "event_name": LLM_METRIC,
        "value_property": "output_tokens",
        "unit": "token",
    },
)
CHARGES: tuple[dict[str, Any], ...] = (
    {
        "code": "input",
        "name": "Input tokens",
        "model": "GRADUATED",
        "meter": "llm.input_tokens",
        "tiers": [
            {"up_to": "10000000", "unit_price": "0.0000025"},
            {"up_to": None, "unit_price": "0.0000020"},
        ],
    },
    {
        "code": "output",
        "name": "Output tokens",
        "model": "PER_UNIT",
        "meter": "llm.output_tokens",
        "unit_price": "0.00001",
        "included_units": "500000",
    },
    {
        "code": "requests",
        "name": "Requests",
        "model": "INCLUDED_QUOTA",
        "meter": "llm.requests",
        "included_units": "10000",
        "block_size": "1000",
        "unit_price": "0.10",
    },
    {"code": "base", "name": "Base fee", "kind": "FEE", "model": "FLAT_RATE", "amount": "49.09"},
)


@dataclass(frozen=True, slots=True)
class Seed:
    """What a seed made or found. admin_password: None where the account was there already."""

    tenant: Tenant
    admin_password: str | None
    api_key: str
    is_created: bool


@transaction.atomic
def demo_seed(*, api_key: str | None = None) -> Seed:
    """Make the demo's tenant, admin account, customer and plan, once; later calls find them.

    api_key: one that was given out earlier; it is kept if it is a live key of the demo's tenant, else another is made.
    Locks the tenant.
    """
    tenant = tenant_create(slug=TENANT, name="Acme Corp")
    # Two copies that start on one database: the second waits, and finds all of it made.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    is_created = not subscriptions_for(tenant).filter(code=SUBSCRIPTION).exists()
    if is_created:
        _plan_make(tenant)
    # Also for a database that was made before there were features.
    if not features_for(tenant).filter(code=FEATURE).exists():
        _feature_make(tenant)
    return Seed(
        tenant=tenant,
        admin_password=_admin_make(),
        api_key=api_key if api_key and _is_ours(api_key, tenant) else _key_make(tenant),
        is_created=is_created,
    )


def demo_month(tenant: Tenant) -> date:
    """The first day of the last full calendar month before the tenant was made; the same in every run."""
    return month_later(tenant.created_at.astimezone(tenant.zone).date().replace(day=1), -1)


def _plan_make(tenant: Tenant) -> None:
    starts_on = demo_month(tenant)
    billing_profile_set(tenant=tenant, legal_name="Acme Corp")
    for meter in METERS:
        meter_create(tenant=tenant, **meter)
    product_create(tenant=tenant, code="llm-api", name="LLM API")
    rate_plan_create(tenant=tenant, product="llm-api", code=PLAN, name="LLM pay as you go")
    version = version_draft(tenant=tenant, plan=PLAN).number
    for charge in CHARGES:
        charge_add(tenant=tenant, plan=PLAN, version=version, **charge)
    version_publish(tenant=tenant, plan=PLAN, version=version)
    offering_create(tenant=tenant, code="llm", name="LLM API", plans=[PLAN])
    tax_rate_create(
        tenant=tenant, jurisdiction="US-NY", name="Sales tax", percent="8.875", starts_on=starts_on
    )
    customer_create(tenant=tenant, external_id=CUSTOMER, name="ABC", tax_jurisdiction="US-NY")
    subscription_create(
        tenant=tenant, code=SUBSCRIPTION, customer=CUSTOMER, offering="llm", starts_on=starts_on
    )
    coupon_create(
        tenant=tenant,
        code="WELCOME5",
        name="Welcome, 5 %",
        kind="PERCENTAGE",
        percent="5",
        duration="FOREVER",
    )
    coupon_attach(tenant=tenant, coupon="WELCOME5", subscription=SUBSCRIPTION)


def _feature_make(tenant: Tenant) -> None:
    """1,000 searches a billing period, counted by the calls that the quick start sends."""
    feature_create(
        tenant=tenant,
        actor="demo",
        code=FEATURE,
        name="Advanced AI search",
        kind="METERED",
        meter="api.call",
        unit="search",
    )
    entitlement_create(
        tenant=tenant, actor="demo", feature=FEATURE, layer="PLAN", owner=PLAN, limit=Decimal(1_000)
    )


def _admin_make() -> str | None:
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists():
        return None
    password = random_text(20)
    users.create_superuser(ADMIN, password=password)
    return password


def _is_ours(key: str, tenant: Tenant) -> bool:
    try:
        return api_key_recognise(key).tenant.pk == tenant.pk
    except Problem:
        return False


def _key_make(tenant: Tenant) -> str:
    _, text = api_key_create(tenant=tenant, name="demo")
    return text
