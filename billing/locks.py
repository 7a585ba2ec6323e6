"""Every lock that billing takes on rows, so that their order can be seen on one screen.

Order, for whoever takes several: customer, rate plan, bill run item, subscription, coupon, invoice sequence, invoice,
wallet. Several rows of one table are locked by primary key. All of them last until the transaction ends. `no_key`: rows
that only refer to the locked one need not wait.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import found

from .models import BillRun, BillRunItem, Coupon, Invoice, InvoiceSequence, RatePlan, Subscription, Wallet
from .selectors.subscriptions import subscriptions_due


def customer_locked(tenant: Tenant, external_id: str) -> Customer:
    """Its zone and currency stay while a subscription is made. Raises Problem not_found."""
    return found(Customer.objects.of(tenant).select_for_update(no_key=True), external_id=external_id)


def rate_plan_locked(tenant: Tenant, code: str) -> RatePlan:
    """One change of a plan's versions at a time. Raises Problem not_found."""
    return found(RatePlan.objects.of(tenant).select_for_update(no_key=True), code=code)


def coupon_locked(tenant: Tenant, code: str) -> Coupon:
    """Its redemptions are counted one after the other. Raises Problem not_found."""
    return found(Coupon.objects.of(tenant).select_for_update(no_key=True), code=code)


def bill_run_locked(tenant: Tenant, run_id: UUID) -> BillRun:
    """Raises Problem not_found."""
    run = BillRun.objects.of(tenant).select_for_update(no_key=True).filter(pk=run_id).first()
    if run is None:
        raise Problem("not_found", f"No bill run {run_id}.")
    return run


def bill_run_item_claimed(tenant: Tenant, item_id: UUID) -> BillRunItem | None:
    """The item, or None where another task has it (or it is gone): whoever holds it does the work."""
    return BillRunItem.objects.of(tenant).select_for_update(skip_locked=True).filter(pk=item_id).first()


def subscription_locked(tenant: Tenant, subscription_id: UUID) -> Subscription:
    """One period of a subscription is drafted at a time. Raises Problem not_found."""
    subscription = (
        Subscription.objects.of(tenant).select_for_update(no_key=True).filter(pk=subscription_id).first()
    )
    if subscription is None:
        raise Problem("not_found", f"No subscription {subscription_id}.")
    return subscription


def subscriptions_due_locked(tenant: Tenant, as_of: datetime) -> QuerySet[Subscription]:
    """Those whose start or end has come and whose state has not followed, by primary key."""
    return subscriptions_due(as_of).filter(tenant=tenant).order_by("pk").select_for_update(no_key=True)


def invoice_sequence_locked(tenant: Tenant) -> InvoiceSequence:
    """The tenant's number and chain head; one invoice is issued at a time."""
    sequences = InvoiceSequence.objects.of(tenant).select_for_update()
    sequence = sequences.first()
    if sequence is None:
        # A row that is missing locks nothing.
        InvoiceSequence.objects.get_or_create(tenant=tenant)
        sequence = sequences.get()
    return sequence


def invoice_locked(tenant: Tenant, invoice_id: UUID) -> Invoice:
    """With all that issuing reads; only the invoice itself is locked. Raises Problem not_found."""
    invoices = Invoice.objects.of(tenant).select_related(
        "tenant", "customer__parent", "subscription__offering", "subscription__customer__parent"
    )
    return found(invoices.select_for_update(no_key=True, of=("self",)), pk=invoice_id)


def wallet_locked(tenant: Tenant, customer: Customer, currency: str) -> Wallet | None:
    """The customer's wallet of a currency; its grants, holds and burns change only under this lock."""
    return wallets_locked(tenant, customer).filter(currency=currency).first()


def wallets_locked(tenant: Tenant, customer: Customer) -> QuerySet[Wallet]:
    """The customer's wallets of every currency, by primary key; locked when they are read."""
    return Wallet.objects.of(tenant).select_for_update().filter(customer=customer).order_by("pk")


def wallet_of_id_locked(tenant: Tenant, wallet_id: UUID) -> Wallet:
    """With customer and tenant; only the wallet itself is locked. Raises Problem not_found."""
    wallets = Wallet.objects.of(tenant).select_related("customer", "tenant")
    return found(wallets.select_for_update(of=("self",)), pk=wallet_id)
