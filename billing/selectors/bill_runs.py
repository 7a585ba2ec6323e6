"""Bill runs: whom a window may bill, and how far a run has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant

from ..models import BillRun, BillRunItem, Invoice, Subscription
from .periods import LOOKED_AFTER

# The earth's zones lie within this of UTC.
ZONE_REACH = timedelta(hours=15)
# Of a year that was left on its first day.
PERIOD_LENGTH_MAX = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Progress:
    """Items of a run by what has become of them; total is their sum."""

    total: int
    pending: int
    drafted: int
    issued: int
    failed: int


def bill_runs_for(tenant: Tenant) -> QuerySet[BillRun]:
    return BillRun.objects.of(tenant)


def bill_run_for(tenant: Tenant, run_id: UUID) -> BillRun:
    """Raises Problem not_found."""
    run = bill_runs_for(tenant).filter(pk=run_id).first()
    if run is None:
        raise Problem("not_found", f"No bill run {run_id}.")
    return run


def bill_run_active_for(tenant: Tenant, *, starts_on: date, ends_on: date) -> BillRun | None:
    """The run of some of these days that is under way."""
    return (
        bill_runs_for(tenant)
        .filter(starts_on__lt=ends_on, ends_on__gt=starts_on, status=BillRun.Status.RUNNING)
        .first()
    )


def bill_run_items_for(run: BillRun) -> QuerySet[BillRunItem]:
    """In the order in which invoices are issued: customer, subscription, period."""
    return run.items.select_related("subscription__customer", "invoice").order_by(
        "subscription__customer__external_id", "subscription__code", "period_start"
    )


def bill_run_progress(run: BillRun) -> Progress:
    status = BillRunItem.Status
    return Progress(
        **run.items.aggregate(
            total=Count("pk"),
            pending=Count("pk", filter=Q(status=status.PENDING)),
            drafted=Count("pk", filter=Q(status=status.DRAFTED)),
            issued=Count("pk", filter=Q(status=status.ISSUED)),
            failed=Count("pk", filter=Q(status=status.FAILED)),
        )
    )


def subscriptions_billed_in(
    tenant: Tenant, *, starts_on: date, ends_on: date, customers: tuple[str, ...] = ()
) -> QuerySet[Subscription]:
    """Subscriptions that may have a period to bill in the window. customers: external ids; none means all.

    Start and end decide, and not the state, which follows the calendar a moment later. A period in which nothing is held,
    in a trial or a pause, is drafted as none.
    """
    subscriptions = (
        Subscription.objects.of(tenant)
        .filter(starts_at__lt=_utc(ends_on) + ZONE_REACH)
        .filter(Q(ends_at=None) | Q(ends_at__gt=_utc(starts_on) - ZONE_REACH))
        .select_related("customer")
        .order_by("customer__external_id", "code")
    )
    return subscriptions.filter(customer__external_id__in=customers) if customers else subscriptions


def subscriptions_looked_after(
    tenant: Tenant, *, starts_on: date, ends_on: date, customers: tuple[str, ...] = ()
) -> QuerySet[Subscription]:
    """Subscriptions that have ended before the window or in it, and have invoices whose usage may still change."""
    subscriptions = (
        Subscription.objects.of(tenant)
        .filter(Exists(Invoice.objects.filter(subscription=OuterRef("pk"), sequence__isnull=False)))
        .filter(ends_at__lt=_utc(ends_on) + ZONE_REACH)
        .filter(ends_at__gt=_utc(starts_on) - ZONE_REACH - PERIOD_LENGTH_MAX - LOOKED_AFTER)
        .select_related("customer")
        .order_by("customer__external_id", "code")
    )
    return subscriptions.filter(customer__external_id__in=customers) if customers else subscriptions


def _utc(on: date) -> datetime:
    return datetime.combine(on, time(), tzinfo=UTC)
