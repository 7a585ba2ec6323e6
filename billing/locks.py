"""Every lock that billing takes on rows, so that their order can be seen on one screen.

Order, for whoever takes several: tenant, customer, rate plan, bill run, bill run item, subscription, contract, coupon, invoice
sequence, credit note sequence, invoice, wallet, credit note. Several rows of one table are locked by primary key. All of
them last until the transaction ends. `no_key`: rows that only refer to the locked one need not wait.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import found

from .models import (
    BillRun,
    BillRunItem,
    Contract,
    Coupon,
    CreditNote,
    CreditNoteSequence,
    Invoice,
    InvoiceSequence,
    RatePlan,
    Subscription,
    Wallet,
)
from .selectors.contracts import contracts_for, contracts_renewing
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


def bill_run_items_claimed(
    tenant: Tenant, run_id: UUID, count_max: int, *, subscriptions: Collection[UUID] | None = None
) -> list[BillRunItem]:
    """Some pending items that no other task has: whoever holds them does the work. At most one a subscription, its first.

    subscriptions: of these only.
    """
    items = BillRunItem.objects.of(tenant).filter(run_id=run_id, status=BillRunItem.Status.PENDING)
    if subscriptions is not None:
        items = items.filter(subscription__in=subscriptions)
    # A period takes over what the one before it has left unused. The run says whose it is: asked for the tenant, too, the
    # store took that for the index to look in, and read all items for each.
    earlier = BillRunItem.objects.filter(
        run_id=run_id,
        subscription=OuterRef("subscription"),
        period_start__lt=OuterRef("period_start"),
        status=BillRunItem.Status.PENDING,
    )
    return list(
        items.filter(~Exists(earlier))
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))[:count_max]
    )


def subscription_locked(tenant: Tenant, subscription_id: UUID) -> Subscription:
    """One change of a subscription at a time. Raises Problem not_found."""
    (subscription,) = subscriptions_locked(tenant, [subscription_id])
    return subscription


def subscriptions_locked(tenant: Tenant, subscription_ids: Collection[UUID]) -> list[Subscription]:
    """One period of each is drafted at a time. Raises Problem not_found where one of them is missing."""
    rows = Subscription.objects.of(tenant).select_for_update(no_key=True)
    locked = list(rows.filter(pk__in=subscription_ids).order_by("pk"))
    missing = set(subscription_ids) - {row.pk for row in locked}
    if missing:
        raise Problem("not_found", f"No subscription {min(missing)}.")
    return locked


def subscriptions_due_locked(tenant: Tenant, as_of: datetime) -> QuerySet[Subscription]:
    """Those whose start or end has come and whose state has not followed, by primary key."""
    return subscriptions_due(as_of).filter(tenant=tenant).order_by("pk").select_for_update(no_key=True)


def contract_locked(tenant: Tenant, code: str) -> Contract:
    """Its end changes only under this lock. Raises Problem not_found."""
    return found(contracts_for(tenant).select_for_update(no_key=True, of=("self",)), code=code)


def contracts_renewing_locked(tenant: Tenant) -> QuerySet[Contract]:
    """Those that are renewed at their end, by primary key."""
    return (
        contracts_renewing().filter(tenant=tenant).order_by("pk").select_for_update(no_key=True, of=("self",))
    )


def invoice_sequence_locked(tenant: Tenant) -> InvoiceSequence:
    """The tenant's number and chain head; one invoice is issued at a time."""
    sequences = InvoiceSequence.objects.of(tenant).select_for_update()
    sequence = sequences.first()
    if sequence is None:
        # A row that is missing locks nothing.
        InvoiceSequence.objects.get_or_create(tenant=tenant)
        sequence = sequences.get()
    return sequence


def invoices_locked(tenant: Tenant, invoice_ids: Collection[UUID]) -> list[Invoice]:
    """By primary key, with all that issuing reads; only the invoices themselves are locked."""
    invoices = Invoice.objects.of(tenant).select_related(
        "customer__parent", "subscription__offering", "subscription__customer__parent"
    )
    return list(
        invoices.prefetch_related("subscription__contracts")
        .defer("trace", "issues", "stage_hashes", "carried_out", "usage_marks")
        .filter(pk__in=invoice_ids)
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
    )


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


def credit_note_sequence_locked(tenant: Tenant) -> CreditNoteSequence:
    """The tenant's number and chain head of credit notes; one is issued at a time."""
    CreditNoteSequence.objects.get_or_create(tenant=tenant)
    return CreditNoteSequence.objects.of(tenant).select_for_update().get()


def credit_note_locked(tenant: Tenant, note_id: UUID) -> CreditNote:
    """With its invoice and customer; only the note itself is locked. Raises Problem not_found."""
    notes = CreditNote.objects.of(tenant).select_related("invoice__customer__parent")
    return found(notes.select_for_update(no_key=True, of=("self",)), pk=note_id)
