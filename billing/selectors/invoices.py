"""The doors to invoices; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import Invoice, Subscription


def invoices_for(tenant: Tenant) -> QuerySet[Invoice]:
    """Without the sealed input and the trace, which are read for one invoice at a time."""
    return (
        Invoice.objects.of(tenant)
        .select_related("customer", "subscription")
        .defer("sealed_input", "trace", "stage_hashes")
    )


def issued_invoices_for(tenant: Tenant) -> QuerySet[Invoice]:
    """Everything that has a number, in its order."""
    return Invoice.objects.of(tenant).filter(sequence__isnull=False).order_by("sequence")


def live_invoices_for(subscription: Subscription) -> QuerySet[Invoice]:
    """A subscription's invoices but the void ones: at most one a period and kind."""
    return Invoice.objects.of(subscription.tenant).filter(subscription=subscription).exclude(status="VOID")


def invoice_for(tenant: Tenant, name: str) -> Invoice:
    """By its number or its id. Raises Problem not_found."""
    invoices = Invoice.objects.of(tenant).select_related("customer", "subscription", "tenant")
    try:
        return found(invoices, pk=UUID(name))
    except ValueError:
        return found(invoices, number=name)
