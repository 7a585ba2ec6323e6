"""Bill runs: what a window holds, one at a time, and the same invoices however often and by whomever it is worked."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DataError, connections

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing import posting
from billing.models import BillRun, BillRunItem, Contract, Invoice
from billing.selectors.bill_runs import Progress, bill_run_progress
from billing.services import bill_runs
from billing.services.bill_runs import (
    bill_run_draft,
    bill_run_fan_out,
    bill_run_finalize,
    bill_run_issue,
    bill_run_start,
    bill_run_work,
    bill_runs_resume,
)
from billing.services.profiles import billing_profile_set
from tests.billing.builders import APRIL_2, a_fee, a_subscription, a_tenant, used
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

MARCH = {"starts_on": date(2026, 3, 1), "ends_on": date(2026, 4, 1)}


def started(tenant, **other):
    with clock_at(APRIL_2):
        return bill_run_start(tenant=tenant, is_queued=False, **{**MARCH, **other})


def worked(run):
    with clock_at(APRIL_2):
        return bill_run_work(tenant=run.tenant, run_id=run.pk)


def customers_with_fees(tenant, *external_ids):
    return [a_subscription(customer(tenant, name), a_fee(), code=f"sub-{name}") for name in external_ids]


@pytest.mark.promise("P17")
def test_a_run_drafts_and_issues_in_the_order_of_customers():
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_c", "cust_a", "cust_b")
    run = worked(started(tenant))
    assert run.status == "COMPLETED"
    assert bill_run_progress(run) == Progress(total=3, pending=0, drafted=0, issued=3, failed=0)
    assert list(Invoice.objects.order_by("sequence").values_list("customer__external_id", "number")) == [
        ("cust_a", "INV-000001"),
        ("cust_b", "INV-000002"),
        ("cust_c", "INV-000003"),
    ]


@pytest.mark.promise("P17")
def test_a_second_run_of_a_window_makes_no_second_invoice():
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a")
    first, second = worked(started(tenant)), worked(started(tenant))
    assert first.pk != second.pk
    assert second.items.get().invoice == first.items.get().invoice
    assert Invoice.objects.count() == 1


def test_a_run_without_finalizing_leaves_drafts_for_a_later_one():
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a")
    run = worked(started(tenant, auto_finalize=False))
    assert (run.status, Invoice.objects.get().status) == ("COMPLETED", "DRAFT")
    worked(started(tenant))
    assert (Invoice.objects.get().status, Invoice.objects.get().number) == ("OPEN", "INV-000001")


LATER = APRIL_2 + timedelta(hours=25)


def in_grace():
    """A run of one customer that waits 24 hours: 100.00 a month and a cent a call, 300 so far."""
    tenant = a_tenant()
    calls, buyer = meter(tenant, aggregation="SUM"), customer(tenant)
    price = {"code": "calls", "meter": calls, "model": "PER_UNIT", "unit_price": Decimal("0.01")}
    a_subscription(buyer, a_fee(), price)
    used(buyer, calls, "300")
    return worked(started(tenant, grace_hours=24)), buyer, calls


@pytest.mark.promise("P17")
def test_in_its_grace_period_a_run_keeps_drafts_and_takes_late_usage_in_before_it_issues():
    run, buyer, calls = in_grace()
    assert (run.status, run.issues_at) == ("RUNNING", APRIL_2 + timedelta(hours=24))
    assert (Invoice.objects.get().status, Invoice.objects.get().total) == ("DRAFT", Decimal(103))
    with clock_at(APRIL_2 + timedelta(hours=23)):
        assert bill_runs_resume() == 0
    # 200 calls come late: 100.00 + 500 x 0.01 = 105.00.
    used(buyer, calls, "200", at=datetime(2026, 3, 20, tzinfo=UTC))
    with clock_at(LATER):
        assert bill_run_work(tenant=run.tenant, run_id=run.pk).status == "COMPLETED"
    issued = Invoice.objects.get()
    assert (issued.number, issued.total) == ("INV-000001", Decimal(105))
    assert issued.lines.count() == 2


def test_beat_takes_up_a_run_whose_grace_is_over(monkeypatch):
    run, *_ = in_grace()
    sent = queued(monkeypatch)
    with clock_at(LATER):
        assert bill_runs_resume() == 1
        bill_run_fan_out(tenant=run.tenant, run_id=run.pk)
        assert not bill_run_issue(tenant=run.tenant, run_id=run.pk)
    assert [name for name, _ in sent] == ["billing.bill_run_fan_out", "billing.bill_run_issue"]
    assert run.items.get().status == "PENDING"


def test_a_person_ends_the_grace_period(monkeypatch, django_capture_on_commit_callbacks):
    run, *_ = in_grace()
    sent = queued(monkeypatch)
    with clock_at(APRIL_2 + timedelta(hours=1)):
        with django_capture_on_commit_callbacks(execute=True):
            bill_run_finalize(tenant=run.tenant, run_id=run.pk)
            bill_run_finalize(tenant=run.tenant, run_id=run.pk)
        assert bill_run_work(tenant=run.tenant, run_id=run.pk).status == "COMPLETED"
        with pytest.raises(Problem) as caught:
            bill_run_finalize(tenant=run.tenant, run_id=run.pk)
    assert (len(sent), caught.value.code) == (1, "state_conflict")


def test_the_profile_says_how_long_drafts_wait_unless_the_run_does():
    tenant = a_tenant()
    billing_profile_set(tenant=tenant, grace_hours=48)
    assert started(tenant).issues_at == APRIL_2 + timedelta(hours=48)
    february = {"starts_on": date(2026, 2, 1), "ends_on": date(2026, 3, 1)}
    assert started(tenant, grace_hours=0, **february).issues_at is None


@pytest.mark.promise("P17")
def test_a_window_that_shares_a_day_with_a_run_under_way_is_refused():
    # 1 to 31 March, and 15 March to 15 April: the days from the 15th on are in both.
    tenant = a_tenant()
    run = started(tenant)
    with pytest.raises(Problem) as caught:
        started(tenant, starts_on=date(2026, 3, 15), ends_on=date(2026, 4, 1), customers=())
    assert caught.value.facts == {"bill_run_id": str(run.pk)}
    worked(run)
    assert started(tenant, starts_on=date(2026, 3, 15), ends_on=date(2026, 4, 1)).status == "RUNNING"


def test_where_the_store_refuses_a_chunk_its_items_are_done_one_by_one(monkeypatch):
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a", "cust_b", "cust_c")
    store = posting.drafts_post

    def refuse(documents):
        if any(document.invoice.customer.external_id == "cust_b" for document in documents):
            raise DataError("too long")
        store(documents)

    monkeypatch.setattr(posting, "drafts_post", refuse)
    run = worked(started(tenant))
    assert run.items.get(status="FAILED").error == "DataError: too long"
    names = Invoice.objects.order_by("sequence").values_list("customer__external_id", "number")
    assert list(names) == [("cust_a", "INV-000001"), ("cust_c", "INV-000002")]


def test_a_failed_item_keeps_its_error_and_stops_nobody():
    tenant = a_tenant()
    broken, _ = customers_with_fees(tenant, "cust_a", "cust_b")
    contract = Contract.objects.create(
        tenant=tenant, code="deal", subscription=broken, currency="EUR", starts_on=date(2026, 1, 1)
    )
    run = worked(started(tenant))
    assert run.status == "FAILED"
    assert run.items.get(status="FAILED").error == "The contract 'deal' is in EUR, and the plan in USD."
    assert Invoice.objects.get().customer.external_id == "cust_b"
    # Once it is put right, the next run bills what is missing.
    contract.delete()
    assert worked(started(tenant)).status == "COMPLETED"
    assert Invoice.objects.count() == 2


def test_one_run_a_window_at_a_time():
    tenant = a_tenant()
    run = started(tenant)
    with pytest.raises(Problem) as caught:
        started(tenant)
    assert (caught.value.code, caught.value.facts) == ("bill_run_active", {"bill_run_id": str(run.pk)})
    # Another window, and another tenant's, may run beside it.
    started(tenant, starts_on=date(2026, 2, 1), ends_on=date(2026, 3, 1))
    started(a_tenant("globex"))


def test_the_same_key_gives_the_same_run_also_once_it_is_finished():
    tenant = a_tenant()
    run = started(tenant, idempotency_key="march")
    assert started(tenant, idempotency_key="march") == run
    worked(run)
    assert started(tenant, idempotency_key="march") == run
    assert BillRun.objects.count() == 1


def test_the_same_key_with_another_request_is_a_conflict():
    tenant = a_tenant()
    started(tenant, idempotency_key="march")
    with pytest.raises(Problem) as caught:
        started(tenant, idempotency_key="march", auto_finalize=False)
    assert caught.value.code == "idempotency_reused"


@pytest.mark.parametrize("ends_on", [date(2026, 3, 1), date(2026, 2, 1)])
def test_a_window_ends_after_it_starts(ends_on):
    with pytest.raises(Problem) as caught:
        started(a_tenant(), ends_on=ends_on)
    assert caught.value.code == "input_invalid"


def test_a_period_that_is_not_over_is_not_billed():
    # 1 April 02:00Z is still 31 March in New York.
    tenant = a_tenant()
    a_subscription(customer(tenant, timezone="America/New_York"), a_fee())
    with clock_at(datetime(2026, 4, 1, 2, tzinfo=UTC)), pytest.raises(Problem) as caught:
        bill_run_start(tenant=tenant, is_queued=False, **MARCH)
    assert caught.value.code == "state_conflict"
    assert not BillRun.objects.exists()


def test_a_scope_names_customers():
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a", "cust_b")
    run = worked(started(tenant, customers=("cust_b",)))
    assert [item.subscription.code for item in run.items.all()] == ["sub-cust_b"]
    with pytest.raises(Problem) as caught:
        started(tenant, customers=("cust_z",))
    assert caught.value.code == "not_found"


def test_march_of_every_zone_is_in_one_run():
    # In Kolkata March ends at 31 March 18:30Z, in Honolulu at 1 April 10:00Z.
    tenant = a_tenant()
    for zone in ("Asia/Kolkata", "Pacific/Honolulu"):
        a_subscription(customer(tenant, zone, timezone=zone), a_fee(), code=zone.partition("/")[2])
    run = worked(started(tenant))
    assert [invoice.period_end for invoice in Invoice.objects.order_by("period_end")] == [
        datetime(2026, 3, 31, 18, 30, tzinfo=UTC),
        datetime(2026, 4, 1, 10, tzinfo=UTC),
    ]
    assert run.status == "COMPLETED"


def test_two_periods_of_a_subscription_are_drafted_in_their_order():
    # 1,000 included, none used in January: February may use 500 more. 1,500 in February cost nothing, without the
    # rollover they would cost 5.00.
    tenant = a_tenant()
    buyer, calls = customer(tenant), meter(tenant, aggregation="SUM")
    a_subscription(
        buyer,
        {
            "code": "calls",
            "meter": calls,
            "model": "PER_UNIT",
            "unit_price": Decimal("0.01"),
            "included_units": 1_000,
            "rollover_periods": 1,
            "rollover_percent": 50,
        },
    )
    used(buyer, calls, "1500", at=datetime(2026, 2, 10, tzinfo=UTC))
    run = started(tenant, starts_on=date(2026, 1, 1))
    with clock_at(APRIL_2):
        bill_run_draft(tenant=tenant, run_id=run.pk)
    assert list(Invoice.objects.order_by("period_start").values_list("total", flat=True)) == [0, 0, 0]


@pytest.mark.promise("P49")
def test_tasks_that_come_twice_and_die_after_each_invoice_give_the_same_invoices(monkeypatch):
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_c", "cust_a", "cust_b")
    run, sent = started(tenant), one_at_a_time(monkeypatch)
    with clock_at(APRIL_2):
        for _ in range(5):
            bill_run_draft(tenant=tenant, run_id=run.pk)
        # Each task that left something queued another; those that found nothing left, the issuing.
        assert [name for name, _ in sent] == ["billing.bill_run_draft"] * 2 + ["billing.bill_run_issue"] * 3
        hashes = set(Invoice.objects.values_list("result_hash", flat=True))
        # One invoice at a time, as if the worker died after each.
        while not bill_run_issue(tenant=tenant, run_id=run.pk, invoices_max=1):
            pass
        assert bill_run_issue(tenant=tenant, run_id=run.pk)
    assert [invoice.customer.external_id for invoice in Invoice.objects.order_by("sequence")] == [
        "cust_a",
        "cust_b",
        "cust_c",
    ]
    assert set(Invoice.objects.values_list("result_hash", flat=True)) == hashes


def test_nothing_is_issued_while_a_draft_is_missing(monkeypatch):
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a", "cust_b")
    run = started(tenant)
    one_at_a_time(monkeypatch)
    with clock_at(APRIL_2):
        bill_run_draft(tenant=tenant, run_id=run.pk)
        assert not bill_run_issue(tenant=tenant, run_id=run.pk)
    assert not Invoice.objects.filter(number__isnull=False).exists()


def test_a_run_without_subscriptions_is_finished_at_once():
    run = worked(started(a_tenant()))
    assert (run.status, bill_run_progress(run).total) == ("COMPLETED", 0)


def queued(monkeypatch):
    """What would be handed to the broker."""
    sent = []
    monkeypatch.setattr(bill_runs, "_send", lambda name, tenant, row_id: sent.append((name, row_id)))
    return sent


def one_at_a_time(monkeypatch):
    """A task drafts one item; what would be handed to the broker."""
    monkeypatch.setattr(bill_runs, "DRAFTED_AT_ONCE", 1)
    monkeypatch.setattr(bill_runs, "TASK_S", -1.0)
    return queued(monkeypatch)


def test_a_run_that_stands_still_is_taken_up(monkeypatch):
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a")
    run, sent = started(tenant), queued(monkeypatch)
    with clock_at(APRIL_2 + timedelta(seconds=5)):
        assert bill_runs_resume() == 0
    with clock_at(APRIL_2 + timedelta(seconds=15)):
        assert bill_runs_resume() == 1
        bill_run_fan_out(tenant=tenant, run_id=run.pk)
        # What was handed out a moment ago is not handed out again.
        assert bill_runs_resume() == 0
    assert sent == [
        ("billing.bill_run_fan_out", run.pk),
        ("billing.bill_run_draft", run.pk),
    ]


def test_a_run_without_items_that_was_never_handed_out_is_taken_up(monkeypatch):
    run, sent = started(a_tenant()), queued(monkeypatch)
    with clock_at(APRIL_2 + timedelta(minutes=1)):
        assert bill_runs_resume() == 1
    assert sent == [("billing.bill_run_fan_out", run.pk)]


def test_a_run_whose_items_are_done_goes_on_with_the_issuing(monkeypatch):
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a")
    run, sent = started(tenant), queued(monkeypatch)
    with clock_at(APRIL_2):
        bill_run_draft(tenant=tenant, run_id=run.pk)
        bill_run_fan_out(tenant=tenant, run_id=run.pk)
        assert sent == [("billing.bill_run_issue", run.pk)] * 2
        worked(run)
        bill_run_fan_out(tenant=tenant, run_id=run.pk)
    assert len(sent) == 2


def test_another_tenants_run_is_not_found():
    run = started(a_tenant())
    with pytest.raises(Problem) as caught:
        bill_run_work(tenant=a_tenant("globex"), run_id=run.pk)
    assert caught.value.code == "not_found"


def at_once(*works):
    """Run each in a thread of its own with a connection of its own; what each returned or raised."""
    barrier, outcomes = threading.Barrier(len(works)), [None] * len(works)

    def run(place, work):
        barrier.wait()
        try:
            with clock_at(APRIL_2):
                outcomes[place] = work()
        except Problem as problem:
            outcomes[place] = problem.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_of_six_starts_at_once_one_wins_whatever_days_they_share():
    tenant = a_tenant()
    customers_with_fees(tenant, "cust_a")
    windows = [MARCH, {"starts_on": date(2026, 3, 15), "ends_on": date(2026, 4, 2)}] * 3
    outcomes = at_once(
        *(
            lambda window=window: bill_run_start(tenant=tenant, is_queued=False, **window).status
            for window in windows
        )
    )
    assert sorted(map(str, outcomes)) == ["RUNNING", *["bill_run_active"] * 5]
    assert BillRunItem.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_starts_at_once_with_one_key_both_get_the_same_run():
    tenant = a_tenant()
    start = lambda: bill_run_start(tenant=tenant, is_queued=False, idempotency_key="march", **MARCH).pk  # noqa: E731
    first, second = at_once(start, start)
    assert first == second


@pytest.mark.django_db(transaction=True)
def test_workers_and_issuing_passes_side_by_side_leave_no_gap_and_nothing_twice():
    tenant = a_tenant()
    customers_with_fees(tenant, *(f"cust_{number:02}" for number in range(20)))
    run = started(tenant)
    outcomes = at_once(*[lambda: bill_run_work(tenant=tenant, run_id=run.pk).status] * 3)
    assert outcomes == ["COMPLETED"] * 3
    assert list(Invoice.objects.order_by("sequence").values_list("sequence", "customer__external_id")) == [
        (number + 1, f"cust_{number:02}") for number in range(20)
    ]
