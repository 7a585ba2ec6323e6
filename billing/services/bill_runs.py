"""Bill runs: one per tenant and window, drafted in parallel, issued in one order, taken up again after any death.

    PENDING ─draft─▶ DRAFTED ─issue─▶ ISSUED        FAILED keeps its error, and the others go on
       ▲────refresh─────┘                           once, at the end of a grace period

Every step claims its row, does nothing where it was done, and commits by itself; so killing a worker anywhere, or running
two of them, changes neither invoices nor numbers. Tasks are queued by name: they call this module, not the other way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, Max, OuterRef
from django.db.models.functions import Coalesce
from kombu.exceptions import OperationalError as BrokerError

from aforo.kernel.canonical import content_hash
from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text
from aforo.tenancy.locks import tenant_locked
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import customer_for
from metering.conservation import conservation_for

from .. import locks
from ..models import BillRun, BillRunItem, Invoice
from ..selectors.bill_runs import (
    Progress,
    bill_run_active_for,
    bill_run_for,
    bill_run_items_for,
    bill_run_progress,
    bill_runs_for,
    subscriptions_billed_in,
    subscriptions_looked_after,
)
from ..selectors.periods import billed_period, periods_after_end, periods_ending_in
from ..selectors.profiles import billing_profile_for
from .invoices import invoices_draft, invoices_issue
from .tax_quotes import TaxQuoteNeeded, tax_quote_ask

log = logging.getLogger(__name__)

Status = BillRunItem.Status
# A run of which nothing has moved for so long has lost its workers; long enough for one chunk.
STALLED_AFTER = timedelta(seconds=10)
# Items that are drafted, or issued, in one transaction: enough that queries and commits are shared, few enough that
# nobody waits long for a subscription, or for the number sequence.
DRAFTED_AT_ONCE = 25
ISSUED_AT_ONCE = 50
# So many new items change how the store finds them best.
ITEMS_TO_COUNT = 200
# A task ends after so long and queues the next, so that it never outlives the broker's patience and others have a turn.
TASK_S = 10.0
# More tasks than there are workers: those that die with one are not missed.
DRAFTING_TASKS_MAX = 20


def bill_run_start(
    *,
    tenant: Tenant,
    starts_on: date,
    ends_on: date,
    customers: tuple[str, ...] = (),
    auto_finalize: bool = True,
    grace_hours: int | None = None,
    idempotency_key: str | None = None,
    is_queued: bool = True,
) -> BillRun:
    """Begin billing every subscription period whose last local day lies in [starts_on, ends_on), and what has changed of
    subscriptions that ended lately.

    customers: external ids; none means all. auto_finalize: issue what was drafted; else the drafts stay drafts.
    grace_hours: so long the drafts wait for late events; then they are made again and issued. The profile's unless given.
    is_queued: hand the work to the workers; else the caller does it by `bill_run_work`.
    The same idempotency key and request give the same run, taken up again if it stands still.
    Raises Problem input_invalid, not_found (a customer), state_conflict (a period is not over), idempotency_reused, or
    bill_run_active while another run of some of these days is under way.
    """
    if starts_on >= ends_on:
        raise Problem("input_invalid", f"The window ends on {ends_on}, which is not after {starts_on}.")
    for external_id in customers:
        customer_for(tenant, external_id)
    request = {
        "starts_on": starts_on,
        "ends_on": ends_on,
        "customers": sorted(customers),
        "auto_finalize": auto_finalize,
    }
    if grace_hours is not None:
        request["grace_hours"] = grace_hours
    request_hash = content_hash(request)
    run = _run_of_key(tenant, idempotency_key, request_hash)
    if run is None:
        try:
            with transaction.atomic():
                tenant_locked(tenant.pk)
                run = BillRun.objects.create(
                    tenant=tenant,
                    starts_on=starts_on,
                    ends_on=ends_on,
                    scope={"customers": sorted(customers)} if customers else {},
                    auto_finalize=auto_finalize,
                    issues_at=_issues_at(tenant, grace_hours) if auto_finalize else None,
                    events_waiting=conservation_for(tenant).waiting,
                    idempotency_key=idempotency_key,
                    request_hash=request_hash,
                )
                _items_create(tenant, run, customers)
        except IntegrityError:
            run = _run_of_key(tenant, idempotency_key, request_hash)
            if run is None:
                raise _active_problem(tenant, starts_on, ends_on) from None
    if is_queued:
        transaction.on_commit(lambda: bill_run_queue(tenant=tenant, run_id=run.pk))
    return run


def _issues_at(tenant: Tenant, grace_hours: int | None) -> datetime | None:
    hours = billing_profile_for(tenant).grace_hours if grace_hours is None else grace_hours
    return now() + timedelta(hours=hours) if hours else None


def _run_of_key(tenant: Tenant, key: str | None, request_hash: str) -> BillRun | None:
    run = bill_runs_for(tenant).filter(idempotency_key=key).first() if key is not None else None
    if run is not None and run.request_hash != request_hash:
        raise Problem(
            "idempotency_reused", f"The key {key!r} began another bill run.", bill_run_id=str(run.pk)
        )
    return run


def _active_problem(tenant: Tenant, starts_on: date, ends_on: date) -> Problem:
    active = bill_run_active_for(tenant, starts_on=starts_on, ends_on=ends_on)
    return Problem(
        "bill_run_active",
        f"A bill run from {active.starts_on} to {active.ends_on} is under way."
        if active
        else "Another bill run of some of these days was under way; try again.",
        bill_run_id=str(active.pk) if active else None,
    )


def _items_create(tenant: Tenant, run: BillRun, customers: tuple[str, ...]) -> None:
    window = {"starts_on": run.starts_on, "ends_on": run.ends_on}
    items, at = [], now()
    # Read to the end before anything is refused: no cursor is left open then.
    found = [
        (subscription, period)
        for subscription in subscriptions_billed_in(tenant, customers=customers, **window).iterator(1000)
        for period in periods_ending_in(subscription, **window)
    ]
    # What changes of a subscription that has ended has no other invoice to go on.
    found += [
        (subscription, period)
        for subscription in subscriptions_looked_after(tenant, customers=customers, **window).iterator(1000)
        for period in periods_after_end(subscription, **window)
    ]
    for subscription, period in found:
        billed = billed_period(subscription, period) or period
        if billed.end > at:
            raise Problem(
                "state_conflict",
                f"The period {period} of subscription {subscription.code!r} is not over yet; "
                "ask for a preview, or bill after its end.",
                subscription=subscription.code,
                ends_at=instant_text(period.end),
            )
        items.append(
            BillRunItem(
                tenant=tenant,
                run=run,
                subscription=subscription,
                period_start=period.start,
                period_end=period.end,
            )
        )
    BillRunItem.objects.bulk_create(items, batch_size=1000)
    if len(items) >= ITEMS_TO_COUNT:
        # The store's own look at the table may be a minute away, and until then it plans for a run of one item.
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {BillRunItem._meta.db_table}")


def bill_run_queue(*, tenant: Tenant, run_id: UUID) -> None:
    """Ask the workers to go on with a run; asking twice does no harm."""
    _send("billing.bill_run_fan_out", tenant, run_id)


def bill_run_fan_out(*, tenant: Tenant, run_id: UUID) -> None:
    """Queue tasks that draft what waits; where nothing does, the issuing."""
    run = bill_run_for(tenant, run_id)
    if run.status != BillRun.Status.RUNNING:
        return
    bill_runs_for(tenant).filter(pk=run_id).update(queued_at=now())
    pending = run.items.filter(status=Status.PENDING).count()
    for _ in range(min(ceil(pending / DRAFTED_AT_ONCE), DRAFTING_TASKS_MAX)):
        _send("billing.bill_run_draft", tenant, run_id)
    if not pending:
        _send("billing.bill_run_issue", tenant, run_id)


def _send(name: str, tenant: Tenant, row_id: UUID) -> None:
    try:
        current_app.send_task(name, args=[tenant.pk, str(row_id)])
    except BrokerError as error:
        # The row is committed; beat takes the run up when the broker answers again.
        log.warning("The task %s could not be queued: %s", name, error)


def bill_run_draft(*, tenant: Tenant, run_id: UUID) -> None:
    """Draft items that no other task has, chunk by chunk; whoever sees that none waits queues the issuing.

    What goes wrong with one customer is kept on the item and stops nobody else.
    """
    until = time.monotonic() + TASK_S
    while _chunk_draft(tenant, run_id):
        if time.monotonic() > until:
            break
    # Looked at after the commit: of two tasks that end together, the later one sees that nothing is left.
    if not _is_pending(tenant, run_id):
        _send("billing.bill_run_issue", tenant, run_id)
    elif time.monotonic() > until:
        _send("billing.bill_run_draft", tenant, run_id)


def _chunk_draft(tenant: Tenant, run_id: UUID) -> int:
    """Draft what waits of some subscriptions, by period; returns how many items, 0 where other tasks have all."""
    with transaction.atomic():
        first = locks.bill_run_items_claimed(tenant, run_id, DRAFTED_AT_ONCE)
        waiting = _items_draft(tenant, first)
    _quotes_ask(tenant, waiting)
    drafted, more = len(first), first
    while more:
        with transaction.atomic():
            more = locks.bill_run_items_claimed(
                tenant, run_id, DRAFTED_AT_ONCE, subscriptions=[item.subscription_id for item in more]
            )
            waiting = _items_draft(tenant, more)
        _quotes_ask(tenant, waiting)
        drafted += len(more)
    return drafted


def _items_draft(tenant: Tenant, items: list[BillRunItem]) -> dict[UUID, str]:
    """Draft the items; returns the question of each that stays as it is until the tax engine is asked."""
    billed = [(item.subscription_id, Period(item.period_start, item.period_end)) for item in items]
    outcomes = _each(lambda some: invoices_draft(tenant=tenant, billed=some), billed)
    nothing, moved = [], []
    waiting = {}
    for item, outcome in zip(items, outcomes, strict=True):
        if outcome is None:
            # An item that has nothing to bill is none.
            nothing.append(item.pk)
        elif isinstance(outcome, TaxQuoteNeeded):
            waiting[item.pk] = outcome.question
        else:
            _moved(item, outcome)
            moved.append(item)
    BillRunItem.objects.filter(pk__in=nothing).delete()
    _items_save(moved)
    return waiting


def _quotes_ask(tenant: Tenant, questions: dict[UUID, str]) -> None:
    """Ask the tax engine for each item, with nothing locked; an item that it gives no answer to has failed.

    An engine that is down is not asked for the rest of the chunk.
    """
    down: Problem | None = None
    for item_id, question in questions.items():
        try:
            if down is not None:
                raise down
            tax_quote_ask(tenant=tenant, question=question)
        except Problem as problem:
            down = problem if problem.facts["is_down"] else None
            BillRunItem.objects.of(tenant).filter(pk=item_id, status=Status.PENDING).update(
                status=Status.FAILED, error=problem.detail, moved_at=now()
            )


def _is_pending(tenant: Tenant, run_id: UUID) -> bool:
    return BillRunItem.objects.of(tenant).filter(run_id=run_id, status=Status.PENDING).exists()


def bill_run_issue(*, tenant: Tenant, run_id: UUID, invoices_max: int | None = None) -> bool:
    """Issue a run's drafts by customer, subscription and period; the number of each follows this order.

    invoices_max: so many, or what one task does. Two passes at once issue nothing twice and leave no gap: invoices are
    issued under the lock of the number sequence, and both passes go in the same order.
    In its grace period a run is left alone; at the end of it all drafts are made anew first.
    Returns whether nothing is left to be done now; else another call goes on.
    """
    run = bill_run_for(tenant, run_id)
    if run.status != BillRun.Status.RUNNING or _is_pending(tenant, run_id):
        return run.status != BillRun.Status.RUNNING
    if run.issues_at is not None and now() < run.issues_at:
        return True
    if run.issues_at is not None and (run.refreshed_at is None or run.refreshed_at < run.issues_at):
        _refresh(tenant, run_id)
        return False
    if run.auto_finalize:
        until = time.monotonic() + TASK_S
        drafted = bill_run_items_for(run).filter(status=Status.DRAFTED)
        ids = list(drafted.values_list("pk", flat=True)[:invoices_max])
        for start in range(0, len(ids), ISSUED_AT_ONCE):
            _chunk_issue(tenant, ids[start : start + ISSUED_AT_ONCE])
            if time.monotonic() > until:
                break
        if drafted.exists():
            return False
    _finish(tenant, run)
    return True


@transaction.atomic
def _refresh(tenant: Tenant, run_id: UUID) -> None:
    """Let all drafts be made anew, with what has come since."""
    run = locks.bill_run_locked(tenant, run_id)
    run.refreshed_at = run.queued_at = now()
    run.save(update_fields=["refreshed_at", "queued_at"])
    run.items.filter(status=Status.DRAFTED).update(status=Status.PENDING)


@transaction.atomic
def bill_run_finalize(*, tenant: Tenant, run_id: UUID) -> BillRun:
    """End a run's grace period now: its drafts are made anew and issued. After it, nothing changes.

    Locks the run. Raises Problem not_found, or state_conflict where the run is finished or has no grace period.
    """
    run = locks.bill_run_locked(tenant, run_id)
    if run.status != BillRun.Status.RUNNING or run.issues_at is None:
        raise Problem(
            "state_conflict",
            "The bill run waits for nothing; drafts of a finished one are issued one by one, or by a new run.",
        )
    if now() < run.issues_at:
        run.issues_at = now()
        run.save(update_fields=["issues_at"])
        transaction.on_commit(lambda: bill_run_queue(tenant=tenant, run_id=run_id))
    return run


@transaction.atomic
def _chunk_issue(tenant: Tenant, item_ids: list[UUID]) -> None:
    # First of all, and kept: the other pass has these items or comes after us.
    locks.invoice_sequence_locked(tenant)
    rows = BillRunItem.objects.of(tenant).filter(pk__in=item_ids, status=Status.DRAFTED).in_bulk()
    items = [rows[pk] for pk in item_ids if pk in rows]
    invoices = [item.invoice_id for item in items]
    outcomes = _each(lambda some: invoices_issue(tenant=tenant, invoice_ids=some), invoices)
    for item, outcome in zip(items, outcomes, strict=True):
        _moved(item, outcome)
    _items_save(items)


def _each(work: Callable[[list[Any]], list[Any]], things: list[Any]) -> list[Any]:
    """What the work makes of all of them together; where the store refuses that, of each by itself.

    The exception is in the place of what cannot be done.
    """
    try:
        with transaction.atomic():
            return work(things)
    except (OperationalError, InterfaceError):
        # The store itself is gone or refuses everybody; nothing can be kept, and the run is taken up later.
        raise
    except Exception as error:
        if len(things) > 1:
            return [outcome for thing in things for outcome in _each(work, [thing])]
        log.exception("An item of a bill run failed: %s", things)
        return [error]


def _moved(item: BillRunItem, outcome: Invoice | Exception) -> None:
    """Keep on the item what has become of it."""
    item.moved_at = now()
    if isinstance(outcome, Invoice):
        item.invoice = outcome
        item.status = Status.DRAFTED if outcome.status == Invoice.Status.DRAFT else Status.ISSUED
    else:
        said = outcome.detail if isinstance(outcome, Problem) else f"{type(outcome).__name__}: {outcome}"
        item.status, item.error = Status.FAILED, said


def _items_save(items: list[BillRunItem]) -> None:
    BillRunItem.objects.bulk_create(
        items,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["status", "error", "invoice", "moved_at"],
    )


def _finish(tenant: Tenant, run: BillRun) -> None:
    with transaction.atomic():
        locked = locks.bill_run_locked(tenant, run.pk)
        if locked.status == BillRun.Status.RUNNING:
            is_failed = locked.items.filter(status=Status.FAILED).exists()
            locked.status = BillRun.Status.FAILED if is_failed else BillRun.Status.COMPLETED
            locked.finished_at = now()
            locked.save(update_fields=["status", "finished_at"])


def bill_run_work(
    *, tenant: Tenant, run_id: UUID, on_progress: Callable[[Progress], Any] = lambda progress: None
) -> BillRun:
    """Do all of a run's work here and now, beside whatever workers do of it; returns the run, finished or in its grace.

    on_progress: told after each chunk.
    """
    run = bill_run_for(tenant, run_id)
    while True:
        while _chunk_draft(tenant, run_id):
            on_progress(bill_run_progress(run))
        is_done = bill_run_issue(tenant=tenant, run_id=run_id, invoices_max=ISSUED_AT_ONCE)
        on_progress(bill_run_progress(run))
        if is_done and not _is_pending(tenant, run_id):
            return bill_run_for(tenant, run_id)
        if _is_pending(tenant, run_id):
            # Some other worker is drafting the last items.
            time.sleep(0.1)


def bill_runs_resume() -> int:
    """Take up every run of every tenant of which nothing has moved for a while, or whose grace is over; returns how many."""
    since = now() - STALLED_AFTER
    pending = BillRunItem.objects.filter(run=OuterRef("pk"), status=Status.PENDING)
    stalled = (
        BillRun.objects.filter(status=BillRun.Status.RUNNING, queued_at__lt=since)
        .annotate(moved_at=Coalesce(Max("items__moved_at"), F("started_at")))
        .filter(moved_at__lt=since)
        .exclude(~Exists(pending), issues_at__gt=now())
        .select_related("tenant")
    )
    for run in stalled:
        bill_run_queue(tenant=run.tenant, run_id=run.pk)
    return len(stalled)
