"""Rows for billing's tests, written straight into the store: who buys what, and what was used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import connection

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.tenants import tenant_create
from billing.models import (
    Charge,
    Coupon,
    CouponRedemption,
    Invoice,
    Offering,
    Product,
    RatePlan,
    RatePlanVersion,
    Subscription,
    SubscriptionItem,
    TaxRate,
    Tier,
    Wallet,
    WalletGrant,
)
from billing.services.invoices import invoice_draft, invoice_issue
from metering.models import Bucket, MeterRow
from tests.workspaces import customer, meter

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
APRIL_2 = datetime(2026, 4, 2, 9, tzinfo=UTC)


def a_tenant(slug: str = "acme_corp") -> Tenant:
    return tenant_create(slug=slug, name=slug.title())


@contextmanager
def tampering() -> Iterator[None]:
    """Somebody with the database in their hands: triggers do not run."""
    connection.check_constraints()  # what is deferred so far
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = origin")


def a_subscription(
    customer: Customer,
    *charges: dict[str, object],
    code: str = "sub_1",
    mode: str = "POSTPAID",
    starts_at: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    **fields: object,
) -> Subscription:
    """A customer on a plan with these charges; monthly from the 1st. charges: columns, and `tiers` as (up_to, price)."""
    tenant = customer.tenant
    product, _ = Product.objects.get_or_create(tenant=tenant, code="api", defaults={"name": "API"})
    plan = RatePlan.objects.create(
        tenant=tenant, product=product, code=f"plan-{code}", name="Plan", currency=customer.currency
    )
    version = RatePlanVersion.objects.create(tenant=tenant, plan=plan)
    for position, columns in enumerate(charges, start=1):
        tiers = columns.pop("tiers", ())
        columns = {"name": columns["code"], "kind": "USAGE" if "meter" in columns else "FEE", **columns}
        charge = Charge.objects.create(tenant=tenant, version=version, position=position, **columns)
        for up_to, price in tiers:
            Tier.objects.create(tenant=tenant, charge=charge, up_to=up_to, unit_price=price)
    offering = Offering.objects.create(
        tenant=tenant, code=f"offer-{code}", name="Offer", billing_mode=mode, currency=customer.currency
    )
    RatePlanVersion.objects.filter(pk=version.pk).update(status="PUBLISHED")
    subscription = Subscription.objects.create(
        tenant=tenant,
        code=code,
        customer=customer,
        offering=offering,
        state="ACTIVE",
        starts_at=starts_at,
        **{"anchor_on": date(2026, 1, 1), **fields},
    )
    SubscriptionItem.objects.create(
        tenant=tenant,
        subscription=subscription,
        offering=offering,
        plan_version=version,
        starts_at=starts_at,
    )
    return subscription


def a_fee(amount: str = "100.00", **columns: object) -> dict[str, object]:
    return {"code": "base", "model": "FLAT_RATE", "amount": Decimal(amount), **columns}


def used(
    customer: Customer, meter: MeterRow, quantity: str, at: datetime = datetime(2026, 3, 10, tzinfo=UTC)
) -> None:
    """One event's worth of usage, as the writer leaves it in the hour's bucket."""
    Bucket.objects.create(
        tenant=customer.tenant,
        customer=customer,
        meter=meter,
        hour=at.replace(minute=0, second=0, microsecond=0),
        dimensions="{}",
        count=1,
        value_count=1,
        sum=Decimal(quantity),
        max=Decimal(quantity),
        min=Decimal(quantity),
        latest_at=at,
        latest_key="event",
        latest_value=Decimal(quantity),
    )


def a_grant(customer: Customer, amount: str, kind: str = "CASH", **fields: object) -> WalletGrant:
    wallet, _ = Wallet.objects.get_or_create(
        tenant=customer.tenant, customer=customer, currency=customer.currency
    )
    return WalletGrant.objects.create(
        tenant=customer.tenant,
        wallet=wallet,
        kind=kind,
        amount=Decimal(amount),
        **{"starts_at": datetime(2026, 1, 1, tzinfo=UTC), **fields},
    )


def drafted(subscription: Subscription, period: Period = MARCH) -> Invoice:
    return invoice_draft(tenant=subscription.tenant, subscription_id=subscription.pk, period=period)


def issued(subscription: Subscription, period: Period = MARCH, at: datetime = APRIL_2) -> Invoice:
    with clock_at(at):
        return invoice_issue(tenant=subscription.tenant, invoice_id=drafted(subscription, period).pk)


def demo_subscription(tenant: Tenant, external_id: str = "cust_abc") -> Subscription:
    """The plan of the demo, whose invoice is 140.35."""
    buyer = customer(tenant, external_id, tax_jurisdiction="US-NY")
    keys = ("llm.input_tokens", "llm.output_tokens", "llm.requests")
    tokens_in, tokens_out, requests = (meter(tenant, key, "SUM") for key in keys)
    subscription = a_subscription(
        buyer,
        a_fee("49.09"),
        {
            "code": "input",
            "meter": tokens_in,
            "model": "GRADUATED",
            "tiers": [(Decimal(10_000_000), Decimal("0.0000025")), (None, Decimal("0.0000020"))],
        },
        {
            "code": "output",
            "meter": tokens_out,
            "model": "PER_UNIT",
            "unit_price": Decimal("0.00001"),
            "included_units": 500_000,
        },
        {
            "code": "requests",
            "meter": requests,
            "model": "INCLUDED_QUOTA",
            "unit_price": Decimal("0.10"),
            "block_size": 1_000,
            "included_units": 10_000,
        },
    )
    TaxRate.objects.create(
        tenant=tenant,
        jurisdiction="US-NY",
        name="Sales tax",
        percent=Decimal("8.875"),
        starts_on=date(2026, 1, 1),
    )
    coupon = Coupon.objects.create(
        tenant=tenant, code="welcome", name="Welcome", kind="PERCENTAGE", percent=5
    )
    CouponRedemption.objects.create(tenant=tenant, coupon=coupon, subscription=subscription)
    used(buyer, tokens_in, "22361870")
    used(buyer, tokens_out, "4088665")
    used(buyer, requests, "19366")
    return subscription
