"""Where the usage of one event is billed: the subscription's period, its invoice, and the lines it counts in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from ..models import Charge, Invoice, InvoiceLine, Subscription
from .invoices import live_invoices_for
from .periods import subscription_cycle
from .subscriptions import subscriptions_for
from .timeline import named_code


@dataclass(frozen=True, slots=True)
class EventBilling:
    """invoice: of the period, a draft perhaps; None while there is none. lines: of the charges that price the metric."""

    subscription: Subscription
    period: Period
    invoice: Invoice | None
    lines: tuple[InvoiceLine, ...]


def event_billing_for(
    tenant: Tenant, *, subscription_id: UUID, plan_version_id: UUID, metric: str, at: datetime
) -> EventBilling | None:
    """The billing of an event that was enriched with a subscription and plan version; None where that is gone.

    One call of 2026-03-15 under a monthly plan: March, and once it is billed the line "Calls" of INV-000003.
    """
    subscription = subscriptions_for(tenant).filter(pk=subscription_id).first()
    if subscription is None:
        return None
    period = subscription_cycle(subscription).period_at(at)
    invoice = live_invoices_for(subscription).filter(period_start=period.start).first()
    listening = Q(meter__event_name=metric) | Q(meter__event_name="", meter__key=metric)
    charges = Charge.objects.of(tenant).filter(listening, version_id=plan_version_id)
    codes = {
        code
        for charge in charges.select_related("version__plan")
        for code in (charge.code, named_code(charge.code, charge.version))
    }
    own = {"kind": InvoiceLine.Kind.USAGE_FEE, "adjusts": ""}
    lines = invoice.lines.filter(**own, code__in=codes) if invoice else ()
    return EventBilling(subscription, period, invoice, tuple(lines))


def adjusting_lines_for(tenant: Tenant, correction_ids: Iterable[UUID]) -> QuerySet[InvoiceLine]:
    """The lines of issued and drafted invoices that name one of these corrections, with their invoices."""
    named = Q()
    for correction_id in correction_ids:
        named |= Q(corrections__contains=[str(correction_id)])
    lines = InvoiceLine.objects.of(tenant).filter(named).exclude(adjusts="").select_related("invoice")
    return lines.order_by("invoice__period_start", "position") if named else lines.none()
