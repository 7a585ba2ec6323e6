"""The doors to invoices; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from aforo.kernel.texts import is_storable
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import Invoice, Subscription
from .periods import month_window


def invoices_for(tenant: Tenant) -> QuerySet[Invoice]:
    """Without the sealed input and the trace, which are read for one invoice at a time."""
    return (
        Invoice.objects.of(tenant)
        .select_related("customer", "subscription")
        .defer("sealed_input", "trace", "stage_hashes")
    )


def invoices_listed(
    tenant: Tenant, *, customer: str | None = None, status: str | None = None, month: str | None = None
) -> QuerySet[Invoice]:
    """Those of a customer (external id), in a status, whose period ends in a month (2026-03); None for any.

    An unknown customer has none. Raises Problem input_invalid for what is no month.
    """
    invoices = invoices_for(tenant)
    if customer is not None:
        invoices = (
            invoices.filter(customer__external_id=customer) if is_storable(customer) else invoices.none()
        )
    if status is not None:
        invoices = invoices.filter(status=status)
    if month is not None:
        starts_on, ends_on = month_window(month)
        invoices = invoices.filter(last_on__gte=starts_on, last_on__lt=ends_on)
    return invoices


def issued_invoices_for(tenant: Tenant) -> QuerySet[Invoice]:
    """Everything that has a number, in its order."""
    return Invoice.objects.of(tenant).filter(sequence__isnull=False).order_by("sequence")


def invoices_to_verify(tenant: Tenant) -> QuerySet[Invoice]:
    """Everything that has a number, with all that verification compares; read it by `iterator(100)`."""
    return (
        issued_invoices_for(tenant)
        .select_related("tenant", "customer", "subscription__customer__parent")
        .prefetch_related("lines", "taxes", "wallet_burns", "ledger_transactions__entries__customer")
    )


def live_invoices_for(subscription: Subscription) -> QuerySet[Invoice]:
    """A subscription's invoices of periods but the void ones: at most one a period."""
    invoices = Invoice.objects.of(subscription.tenant).filter(subscription=subscription)
    return invoices.filter(kind=Invoice.Kind.PERIOD).exclude(status="VOID")


def live_invoices_of(tenant: Tenant, subscription_ids: Collection[UUID]) -> QuerySet[Invoice]:
    """The same of several subscriptions, without what only the invoice's own page and proof read."""
    invoices = Invoice.objects.of(tenant).filter(subscription__in=subscription_ids)
    return (
        invoices.filter(kind=Invoice.Kind.PERIOD)
        .exclude(status="VOID")
        .only(
            "subscription_id",
            "sequence",
            "number",
            "status",
            "period_start",
            "period_end",
            "issued_at",
            "created_at",
            "carried_out",
            "usage_marks",
            "issues",
        )
    )


def invoice_for(tenant: Tenant, name: str) -> Invoice:
    """By its number or its id. Raises Problem not_found."""
    invoices = Invoice.objects.of(tenant).select_related("customer", "subscription", "tenant")
    try:
        return found(invoices, pk=UUID(name))
    except ValueError:
        return found(invoices, number=name)
