"""Invoices that were made twice, or not at all: schedulers, retries, races and clocks. One invoice a period, whatever runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import local_midnight
from billing import locks, posting
from billing.models import BillRun, BillRunItem, Invoice, InvoiceSequence, LedgerEntry
from billing.services import bill_runs
from billing.services.bill_runs import (
    bill_run_draft,
    bill_run_fan_out,
    bill_run_issue,
    bill_run_start,
    bill_run_work,
    bill_runs_resume,
)
from billing.services.invoices import invoice_draft, invoice_issue
from billing.services.subscriptions import subscription_cancel
from billing.services.verification import invoice_verify, ledger_verify
from metering.models import Bucket
from tests.billing.builders import APRIL_2, MARCH, a_fee, a_subscription, a_tenant, drafted, used
from tests.workspaces import customer, meter

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P17")]

MARCH_DAYS = {"starts_on": date(2026, 3, 1), "ends_on": date(2026, 4, 1)}
ZONES = (
    *(
        "Pacific/Kiritimati",
        "Pacific/Apia",
        "Pacific/Auckland",
        "Australia/Lord_Howe",
        "Asia/Tokyo",
        "Asia/Shanghai",
    ),
    *("Asia/Kathmandu", "Asia/Kolkata", "Asia/Karachi", "Asia/Tehran", "Europe/Moscow", "Africa/Cairo"),
    *("Europe/Berlin", "Europe/London", "UTC", "Atlantic/Azores", "America/Sao_Paulo", "America/St_Johns"),
    *(
        "America/Halifax",
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "Pacific/Honolulu",
        "Pacific/Niue",
    ),
)


def started(tenant, at: datetime = APRIL_2, **other: Any) -> BillRun:
    with clock_at(at):
        return bill_run_start(tenant=tenant, is_queued=False, **{**MARCH_DAYS, **other})


def worked(run: BillRun, at: datetime = APRIL_2) -> BillRun:
    with clock_at(at):
        return bill_run_work(tenant=run.tenant, run_id=run.pk)


def sound(tenant) -> list[str]:
    """The numbers of all invoices, which all recompute, in a ledger that adds up."""
    invoices = Invoice.objects.filter(tenant=tenant).order_by("sequence")
    assert [sentence for invoice in invoices for sentence in invoice_verify(invoice)] == []
    assert ledger_verify(tenant) == []
    return [invoice.number for invoice in invoices]


def at_once(count: int, work: Callable[[int], Any], at: datetime = APRIL_2) -> list[Any]:
    """The work in so many threads with a connection each; what each returned, or the code of its problem."""
    barrier, outcomes = threading.Barrier(count), [None] * count

    def run(place: int) -> None:
        barrier.wait()
        try:
            with clock_at(at):
                outcomes[place] = work(place)
        except Problem as problem:
            outcomes[place] = problem.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_workers_that_stand_still_for_hours_are_asked_again_and_bill_once(monkeypatch):
    """Lago #1988, #2681: the hourly clock queued a job anew that had waited for more than an hour."""
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())
    queue: list[tuple[str, Any]] = []
    monkeypatch.setattr(bill_runs, "_send", lambda name, tenant, row_id: queue.append((name, row_id)))
    started(tenant)
    # Every 10 minutes for three hours the scheduler sees a run that stands still.
    for minutes in range(10, 190, 10):
        with clock_at(APRIL_2 + timedelta(minutes=minutes)):
            assert bill_runs_resume() == 1
    assert len(queue) == 18
    # The workers wake and do all that was ever queued, and what that queues.
    with clock_at(APRIL_2 + timedelta(hours=4)):
        while queue:
            name, run_id = queue.pop(0)
            work = {
                "billing.bill_run_fan_out": bill_run_fan_out,
                "billing.bill_run_draft": bill_run_draft,
                "billing.bill_run_issue": bill_run_issue,
            }[name]
            work(tenant=tenant, run_id=run_id)
    assert BillRun.objects.get().status == "COMPLETED"
    assert sound(tenant) == ["INV-000001"]


def test_a_subscription_that_ends_between_the_queue_and_the_run_is_billed_once_until_its_end():
    """Lago #958: queued, terminated meanwhile, and billed by both."""
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee("31.00"))
    run = started(tenant)
    with clock_at(APRIL_2):
        # 15 March: 14 of 31 days.
        subscription_cancel(tenant=tenant, code="sub_1", at=datetime(2026, 3, 15, tzinfo=UTC))
    worked(run)
    worked(started(tenant, APRIL_2 + timedelta(days=1)), APRIL_2 + timedelta(days=1))
    assert sound(tenant) == ["INV-000001"]
    assert Invoice.objects.get(subscription=subscription).total == Decimal("14.00")


def test_a_draft_that_is_refreshed_often_is_the_same_draft_and_bills_once():
    """Lago #875, #1484: the refreshed draft lost its mark, and the period was billed again that day."""
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    drafts = {drafted(subscription).pk for _ in range(5)}
    assert len(drafts) == 1
    worked(started(tenant))
    assert set(Invoice.objects.values_list("pk", flat=True)) == drafts
    # Liveness: the month after is another invoice.
    may = datetime(2026, 5, 2, 9, tzinfo=UTC)
    worked(started(tenant, may, starts_on=date(2026, 4, 1), ends_on=date(2026, 5, 1)), may)
    assert sound(tenant) == ["INV-000001", "INV-000002"]


@pytest.mark.slow
def test_runs_around_the_end_of_a_month_bill_every_zone_once_and_when_its_month_is_over():
    """Lago #879, Kill Bill #1856, #1934: "billed today already" was asked in UTC, of a customer who lives elsewhere."""
    assert len(set(ZONES)) == 24
    tenant = a_tenant()
    tries = []
    for zone in ZONES:
        buyer = customer(tenant, zone.replace("/", "_"), timezone=zone)
        a_subscription(
            buyer, a_fee(), code=buyer.external_id, starts_at=local_midnight(date(2026, 3, 1), buyer.zone)
        )
        end = local_midnight(date(2026, 4, 1), buyer.zone)
        tries += [(end + timedelta(hours=hours), buyer.external_id, end) for hours in (-1, 0, 1, 25)]
    refused = []
    for at, name, end in sorted(tries):
        try:
            worked(started(tenant, at, customers=(name,)), at)
        except Problem as problem:
            refused.append((name, problem.code, at < end))
        assert Invoice.objects.filter(customer__external_id=name).count() == (at >= end)
    # Too early for the customer, and never for another reason.
    assert sorted(refused) == sorted((zone.replace("/", "_"), "state_conflict", True) for zone in ZONES)
    assert len(sound(tenant)) == 24
    assert set(Invoice.objects.values_list("last_on", flat=True)) == {date(2026, 3, 31)}


@pytest.mark.django_db(transaction=True)
def test_six_who_start_with_one_key_start_one_run_and_make_one_invoice():
    """Lago #1868, frappe/central #170: two starts raced, and no constraint held them."""
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())

    def start(_: int) -> Any:
        run = bill_run_start(tenant=tenant, is_queued=False, idempotency_key="march", **MARCH_DAYS)
        bill_run_work(tenant=tenant, run_id=run.pk)
        return run.pk

    assert len(set(at_once(6, start))) == 1
    assert sound(tenant) == ["INV-000001"]


@pytest.mark.django_db(transaction=True)
def test_two_starts_a_millisecond_apart_with_different_keys_are_one_run_or_the_second_finds_it_done():
    """Lago #6322: a uniqueness that held the timestamp was beaten by another one."""
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())

    def start(place: int) -> str:
        with clock_at(APRIL_2 + timedelta(milliseconds=place)):
            run = bill_run_start(tenant=tenant, is_queued=False, idempotency_key=f"key-{place}", **MARCH_DAYS)
        return bill_run_work(tenant=tenant, run_id=run.pk).status

    assert set(at_once(2, start)) <= {"COMPLETED", "bill_run_active"}
    assert sound(tenant) == ["INV-000001"]


@pytest.mark.django_db(transaction=True)
def test_one_draft_issued_by_many_has_one_number_and_one_booking():
    """Double finalisation: two workers each gave the same draft a number."""
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    draft = drafted(subscription)
    numbers = at_once(6, lambda _: invoice_issue(tenant=tenant, invoice_id=draft.pk).number)
    assert set(numbers) == {"INV-000001"}
    assert sound(tenant) == ["INV-000001"]
    assert LedgerEntry.objects.filter(account="receivable").count() == 1


class Crash(BaseException):
    """The process is gone; nothing catches it."""


WRITES = (
    (posting, "drafts_post"),
    (posting, "issues_post"),
    (posting, "chain_hash_of"),
    (locks, "invoices_locked"),
    (locks, "invoice_sequence_locked"),
    (locks, "subscriptions_locked"),
    (bill_runs, "_finish"),
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), WRITES, ids=[name for _, name in WRITES])
def test_a_death_between_any_two_writes_leaves_one_invoice(monkeypatch, module, name, when):
    """PageSpace #2445: charged, and the mark that says so in another transaction, which never came."""
    tenant = a_tenant()
    for number in range(3):
        a_subscription(customer(tenant, f"cust_{number}"), a_fee(), code=f"sub_{number}")
    run = started(tenant)
    works = getattr(module, name)

    def dies(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            works(*args, **kwargs)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(module, name, dies)
        with pytest.raises(Crash):
            worked(run)
    assert worked(run).status == "COMPLETED"
    assert sound(tenant) == ["INV-000001", "INV-000002", "INV-000003"]
    assert InvoiceSequence.objects.get().last_number == 3


def test_a_task_that_the_broker_hands_out_again_while_it_runs_works_once(monkeypatch):
    """celery #5935, #3270: a task longer than the visibility timeout is handed to the next worker, again and again."""
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())
    run = started(tenant)
    sent: list[str] = []
    monkeypatch.setattr(bill_runs, "_send", lambda name, tenant, row_id: sent.append(name))
    with clock_at(APRIL_2):
        for _ in range(3):
            bill_run_draft(tenant=tenant, run_id=run.pk)
            bill_run_issue(tenant=tenant, run_id=run.pk)
    assert BillRun.objects.get().status == "COMPLETED"
    assert sound(tenant) == ["INV-000001"]


def test_the_database_itself_refuses_a_second_live_invoice_of_a_period():
    """The last word in each of these: a constraint, and not a look before the leap."""
    subscription = a_subscription(customer(a_tenant()), a_fee())
    draft = drafted(subscription)
    draft.pk, draft._state.adding = None, True
    with pytest.raises(IntegrityError, match="invoice_one_live_a_period"), transaction.atomic():
        draft.save(force_insert=True)


def test_a_yearly_contract_does_not_hold_up_the_monthly_invoices():
    """Lago #1110, #1203: a guard against billing a year twice hit its months, too."""
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee("10.00"))
    for number in range(1, 7):
        first, next_first = date(2026, number, 1), date(2026, number + 1, 1)
        at = datetime(2026, number + 1, 2, tzinfo=UTC)
        worked(started(tenant, at, starts_on=first, ends_on=next_first), at)
    assert len(sound(tenant)) == 6


@pytest.mark.django_db(transaction=True)
def test_whoever_holds_the_numbers_of_one_tenant_holds_up_no_draft_and_no_other_tenant():
    """Long-lived number locks: one finalisation stood in the way of everybody's drafts."""
    tenants = [a_tenant(), a_tenant("globex")]
    subscriptions = [a_subscription(customer(tenant), a_fee()) for tenant in tenants]
    draft = drafted(subscriptions[0])

    def work(place: int) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            if place == 0:
                return drafted(subscriptions[0]).number or "drafted"
            if place == 1:
                return invoice_issue(tenant=tenants[1], invoice_id=drafted(subscriptions[1]).pk).number
            return invoice_issue(tenant=tenants[0], invoice_id=draft.pk).number
        except OperationalError as error:
            return str(error).split("\n")[0]

    with transaction.atomic():
        locks.invoice_sequence_locked(tenants[0])
        waited = at_once(3, work)
    assert waited[:2] == ["drafted", "INV-000001"]
    assert waited[2] == "canceling statement due to lock timeout"
    # Liveness: once the lock is gone, the number is given.
    assert invoice_issue(tenant=tenants[0], invoice_id=draft.pk).number == "INV-000001"


def test_more_buckets_than_a_page_holds_are_all_on_the_invoice():
    """Large usage missing: the query had a limit, and the rest was never billed."""
    tenant = a_tenant()
    buyer, tokens = customer(tenant), meter(tenant, "tokens", "SUM", group_by=["model"])
    a_subscription(
        buyer, {"code": "tokens", "meter": tokens, "model": "PER_UNIT", "unit_price": Decimal("0.01")}
    )
    rows = [
        Bucket(
            tenant=tenant,
            customer=buyer,
            meter=tokens,
            hour=MARCH.start + timedelta(hours=hour),
            dimensions=f'{{"model": "m{model:02}"}}',
            count=1,
            value_count=1,
            sum=Decimal(1),
            max=Decimal(1),
            min=Decimal(1),
            latest_at=MARCH.start + timedelta(hours=hour),
            latest_key="k",
            latest_value=Decimal(1),
        )
        for hour in range(743)
        for model in range(15)
    ]
    Bucket.objects.bulk_create(rows, batch_size=2000)
    worked(started(tenant))
    # 743 hours x 15 models = 11,145 x 0.01
    assert Invoice.objects.get().total == Decimal("111.45")


def test_what_is_used_between_draft_and_issue_is_billed_once_with_the_next_invoice():
    """A stale snapshot: what came after it was read was on no invoice, or on two."""
    tenant = a_tenant()
    buyer, tokens = customer(tenant), meter(tenant, "tokens", "SUM")
    charge = {"code": "tokens", "meter": tokens, "model": "PER_UNIT", "unit_price": Decimal(1)}
    subscription = a_subscription(buyer, a_fee("5.00"), charge)
    used(buyer, tokens, "10")
    draft = drafted(subscription)
    used(buyer, tokens, "3", datetime(2026, 3, 30, tzinfo=UTC))
    with clock_at(APRIL_2):
        assert invoice_issue(tenant=tenant, invoice_id=draft.pk).total == Decimal(15)
    may = datetime(2026, 5, 2, tzinfo=UTC)
    worked(started(tenant, may, starts_on=date(2026, 4, 1), ends_on=date(2026, 5, 1)), may)
    april = Invoice.objects.get(sequence=2)
    assert [(line.code, line.amount, line.adjusts) for line in april.lines.all()] == [
        ("base", Decimal(5), ""),
        ("tokens", Decimal(0), ""),
        ("tokens", Decimal(3), "INV-000001"),
    ]
    assert BillRunItem.objects.count() == 1
    assert len(sound(tenant)) == 2
    assert invoice_draft(tenant=tenant, subscription_id=subscription.pk, period=MARCH).number == "INV-000001"
