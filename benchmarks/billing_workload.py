"""What a bill run bills: subscriptions on three plans, with taxes, coupons, contracts and wallets, and a month's usage.

Usage is written as the writer leaves it, by COPY into the buckets, so that a month of it is there in seconds.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aforo.tenancy.models import Tenant

MONTH = "2026-03"
STARTS_AT = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 31 * 24
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
# Hours in which a customer has usage of a meter; each is a bucket, whatever the number of events in it.
CUSTOMER_HOURS = 50
DIMENSIONS = ('{"model":"gpt-4o"}', '{"model":"o3"}')
METERS = ("api.call", "llm.input_tokens", "llm.output_tokens", "storage.gb")

_FEE = {"code": "base", "name": "Base fee", "kind": "FEE", "model": "FLAT_RATE", "amount": "49.00"}
_CALLS = {
    "code": "calls",
    "name": "Calls",
    "model": "GRADUATED",
    "meter": "api.call",
    "tiers": [
        {"up_to": "1000", "unit_price": "0.010"},
        {"up_to": "10000", "unit_price": "0.008"},
        {"up_to": None, "unit_price": "0.005"},
    ],
}
_INPUT = {
    "code": "input",
    "name": "Input tokens",
    "model": "PER_UNIT",
    "meter": "llm.input_tokens",
    "unit_price": "0.0000025",
    "included_units": "10000",
    "rollover_periods": 1,
}
_OUTPUT = {
    "code": "output",
    "name": "Output tokens",
    "model": "PER_UNIT",
    "meter": "llm.output_tokens",
    "unit_price": "0.00001",
}
_STORAGE = {
    "code": "storage",
    "name": "Storage",
    "model": "VOLUME_TIERED",
    "meter": "storage.gb",
    "tiers": [{"up_to": "500", "unit_price": "0.10"}, {"up_to": None, "unit_price": "0.08"}],
}
PLANS: dict[str, list[dict[str, Any]]] = {
    "api": [_FEE, _CALLS, _STORAGE],
    "llm": [_FEE, _CALLS, _INPUT, _OUTPUT],
    "all": [_FEE, _CALLS, _INPUT, _OUTPUT, _STORAGE],
}


def billed_tenant(slug: str, *, subscriptions: int, events: int) -> Tenant:
    """A tenant with so many subscriptions, one a customer, and so many events in March 2026, in the same customer-hours
    however many they are.

    Of ten customers, seven pay tax, one has a coupon, one a contract with a minimum and a discount, and one a wallet.
    """
    from aforo.tenancy.models import Customer
    from aforo.tenancy.services.tenants import tenant_create
    from billing.models import (
        Contract,
        Coupon,
        CouponRedemption,
        Offering,
        RatePlanVersion,
        Subscription,
        SubscriptionItem,
        Wallet,
        WalletGrant,
    )
    from billing.services.coupons import coupon_create

    tenant = tenant_create(slug=slug, name="Billed")
    _catalog_make(tenant)
    versions = {row.plan.code: row for row in RatePlanVersion.objects.of(tenant).select_related("plan")}
    offerings = {row.code: row for row in Offering.objects.of(tenant)}
    coupon_create(tenant=tenant, code="welcome", name="Welcome", kind="PERCENTAGE", percent="5")
    coupon = Coupon.objects.of(tenant).get()
    customers = Customer.objects.bulk_create(
        Customer(
            tenant=tenant,
            external_id=f"cust_{number:05}",
            name=f"Customer {number}",
            timezone=ZONES[number % len(ZONES)],
            tax_jurisdiction="US-NY" if number % 10 < 7 else "",
        )
        for number in range(subscriptions)
    )
    subscribed = []
    for number, customer in enumerate(customers):
        plan = tuple(PLANS)[number % len(PLANS)]
        subscribed.append(
            Subscription(
                tenant=tenant,
                code=f"sub-{number:05}",
                customer=customer,
                offering=offerings[f"{plan}-hybrid" if number % 10 == 9 else plan],
                state="ACTIVE",
                starts_at=STARTS_AT - timedelta(days=1),
                anchor_on=date(2026, 3, 1),
            )
        )
    Subscription.objects.bulk_create(subscribed, batch_size=1000)
    SubscriptionItem.objects.bulk_create(
        SubscriptionItem(
            tenant=tenant,
            subscription=each,
            offering=each.offering,
            plan_version=versions[each.offering.code.removesuffix("-hybrid")],
            starts_at=each.starts_at,
        )
        for each in subscribed
    )
    CouponRedemption.objects.bulk_create(
        CouponRedemption(tenant=tenant, coupon=coupon, subscription=each) for each in subscribed[::10]
    )
    Contract.objects.bulk_create(
        Contract(
            tenant=tenant,
            code=f"deal-{each.code}",
            subscription=each,
            starts_on=date(2026, 1, 1),
            minimum_amount=Decimal(100),
            discount_percent=Decimal(10),
        )
        for each in subscribed[1::10]
    )
    wallets = Wallet.objects.bulk_create(
        Wallet(tenant=tenant, customer=each.customer) for each in subscribed[9::10]
    )
    WalletGrant.objects.bulk_create(
        WalletGrant(tenant=tenant, wallet=each, amount=Decimal(30), starts_at=STARTS_AT) for each in wallets
    )
    _usage_write(tenant, [each.pk for each in customers], events=events)
    return tenant


def _catalog_make(tenant: Tenant) -> None:
    from billing.services.catalog import (
        offering_create,
        product_create,
        rate_plan_draft,
        version_publish,
    )
    from billing.services.tax import tax_rate_create
    from metering.services.meters import meter_create

    product_create(tenant=tenant, code="api", name="API")
    for key in METERS:
        meter_create(
            tenant=tenant,
            key=key,
            name=key,
            aggregation="MAX" if key == "storage.gb" else "SUM",
            group_by=["model"],
        )
    for plan, charges in PLANS.items():
        rate_plan_draft(tenant=tenant, product="api", code=plan, name=plan, charges=charges)
        version_publish(tenant=tenant, plan=plan, version=1)
        offering_create(tenant=tenant, code=plan, name=plan, plans=[plan])
        offering_create(tenant=tenant, code=f"{plan}-hybrid", name=plan, plans=[plan], billing_mode="HYBRID")
    tax_rate_create(
        tenant=tenant, jurisdiction="US-NY", name="Sales tax", percent="8.875", starts_on=date(2026, 1, 1)
    )


def _usage_write(tenant: Tenant, customers: list[int], *, events: int) -> None:
    from django.db import connection

    from metering.models import MeterRow

    meters = list(MeterRow.objects.filter(tenant=tenant).order_by("key").values_list("pk", flat=True))
    count = max(1, events // (len(customers) * CUSTOMER_HOURS))
    chance = random.Random(1)
    columns = (
        "tenant_id, customer_id, meter_id, hour, dimensions, count, value_count, sum, max, min, latest_at, latest_key, "
        "latest_value"
    )
    connection.ensure_connection()
    with connection.cursor() as cursor, cursor.copy(f"COPY metering_bucket ({columns}) FROM STDIN") as copy:
        for customer in customers:
            for place, hour in enumerate(sorted(chance.sample(range(24, HOURS - 24), CUSTOMER_HOURS))):
                at = STARTS_AT + timedelta(hours=hour)
                value = chance.randrange(1, 500)
                dimensions = DIMENSIONS[place % 2]
                meter = meters[place % len(meters)]
                copy.write_row(
                    (
                        tenant.pk,
                        customer,
                        meter,
                        at,
                        dimensions,
                        count,
                        count,
                        value * count,
                        value,
                        value,
                        at,
                        "event",
                        value,
                    )
                )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE metering_bucket")
