"""A Celery worker killed with SIGKILL in the middle of a bill run, several times over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from aforo.tenancy.models import Tenant
from billing.models import BillRun, Invoice, LedgerTransaction
from billing.selectors.bill_runs import bill_run_for, bill_run_progress
from billing.services.bill_runs import bill_run_start, bill_run_work
from billing.services.verification import invoice_verify, ledger_verify
from tests.billing.builders import a_fee, a_subscription, a_tenant, used
from tests.workspaces import customer, meter

ROOT = Path(__file__).parents[2]
CUSTOMERS = 60
# Killed once so many items are drafted, then once so many are issued.
KILLED_AT = (("drafted", 10), ("drafted", 40), ("issued", 15))
PATIENCE_S = 90
MARCH = {"starts_on": date(2026, 3, 1), "ends_on": date(2026, 4, 1)}


def tenant_with_customers(slug: str) -> Tenant:
    """Each pays 10.00 a month and 0.01 a call; the number of calls is its own."""
    tenant = a_tenant(slug)
    calls = meter(tenant, aggregation="SUM")
    for number in range(CUSTOMERS):
        buyer = customer(tenant, f"cust_{number:03}")
        price = {"code": "calls", "meter": calls, "model": "PER_UNIT", "unit_price": "0.01"}
        a_subscription(buyer, a_fee("10.00"), price, code=f"sub_{number:03}")
        used(buyer, calls, str(number * 7 % 1000))
    return tenant


@contextmanager
def worker() -> Iterator[subprocess.Popen]:
    """A worker of two processes on this test's database and broker, dead at the end, however it ends."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    celery = [
        sys.executable,
        "-m",
        "celery",
        "-q",
        "-A",
        "aforo",
        "worker",
        "--concurrency",
        "2",
        "-l",
        "error",
    ]
    process = subprocess.Popen(
        [*celery, "--without-mingle", "--without-gossip"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": urlunsplit(database)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.01)


def billed(tenant: Tenant) -> list[tuple[str, str, str]]:
    """What the tenant's customers were billed, in the order of the numbers."""
    invoices = Invoice.objects.of(tenant).order_by("sequence")
    return [
        (name, number, str(total))
        for name, number, total in invoices.values_list("customer__external_id", "number", "total")
    ]


@pytest.mark.slow
@pytest.mark.promise("P17", "P49")
@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_again_and_again_changes_neither_invoices_nor_numbers(redis_empty):
    undisturbed = tenant_with_customers("undisturbed")
    run = bill_run_start(tenant=undisturbed, is_queued=False, **MARCH)
    bill_run_work(tenant=undisturbed, run_id=run.pk)

    tenant = tenant_with_customers("disturbed")

    def start() -> BillRun:
        return bill_run_start(tenant=tenant, idempotency_key="march", **MARCH)

    run = start()
    for status, count in KILLED_AT:
        with worker():
            wait_until(
                lambda status=status, count=count: getattr(bill_run_progress(run), status) >= count,
                f"{count} items {status}",
            )
        # The same call again takes the run up at once; beat would do so within a minute.
        assert start() == run
        assert bill_run_for(tenant, run.pk).status == "RUNNING"
    with worker():
        wait_until(lambda: bill_run_for(tenant, run.pk).status != "RUNNING", "the run's end")

    assert bill_run_for(tenant, run.pk).status == "COMPLETED"
    assert billed(tenant) == billed(undisturbed)
    assert [number for _, number, _ in billed(tenant)] == [f"INV-{n:06}" for n in range(1, CUSTOMERS + 1)]
    assert LedgerTransaction.objects.of(tenant).count() == CUSTOMERS
    assert ledger_verify(tenant) == []
    assert [invoice_verify(invoice) for invoice in Invoice.objects.of(tenant)] == [[]] * CUSTOMERS
