"""bill_run: how many invoices a second a month's bill run drafts and issues, what ten times the events change, and kills."""

from __future__ import annotations

import sys
import time
from typing import Any

from .billing_workload import MONTH, billed_tenant
from .stack import Stack

SUBSCRIPTIONS = 10_000
EVENTS = 1_000_000
# Killed once so much of the run is done: which part of `make run`, and at which share of its invoices.
KILLS = (
    ("worker", "drafted", 0.3),
    ("beat", "drafted", 0.6),
    ("worker", "drafted", 0.9),
    ("worker", "issued", 0.5),
)
POLL_S = 0.1


def measure(stack: Stack) -> dict[str, Any]:
    """Two tenants are billed, one after the other, the second with ten times the events in the same customer-hours.

    rate_per_s: invoices a second from the start of the run until all are issued, by the two worker processes of
    `make run`. ratio_floor: to writing the same rows by COPY, and nothing else.
    """
    few = billed_tenant("few", subscriptions=SUBSCRIPTIONS, events=EVENTS)
    many = billed_tenant("many", subscriptions=SUBSCRIPTIONS, events=10 * EVENTS)
    cpu = stack.cpu_s()
    drafted_s, seconds = _billed(stack, few)
    used = {name: after - cpu.get(name, 0.0) for name, after in stack.cpu_s().items()}
    _, seconds_tenfold = _billed(stack, many)
    floor_per_s = _floor_per_s(few)
    rate = SUBSCRIPTIONS / seconds
    return {
        "rate_per_s": round(rate, 1),
        "subscriptions": SUBSCRIPTIONS,
        "events": EVENTS,
        "seconds": round(seconds, 1),
        "drafting_s": round(drafted_s, 1),
        "issuing_s": round(seconds - drafted_s, 1),
        "floor_per_s": round(floor_per_s),
        "ratio_floor": round(rate / floor_per_s, 3),
        "seconds_tenfold": round(seconds_tenfold, 1),
        "ratio_tenfold": round(seconds_tenfold / seconds, 2),
        "cpu_ms": {name: round(spent / SUBSCRIPTIONS * 1000, 2) for name, spent in used.items()},
    }


def measure_killed(stack: Stack) -> dict[str, Any]:
    """One tenant is billed in peace and its twin under kill -9 of workers and beat: the same invoices under the same numbers.

    Raises AssertionError where anything differs, a number is missing, or an invoice does not recompute.
    """
    from billing.models import LedgerTransaction
    from billing.selectors.invoices import invoices_to_verify
    from billing.services.verification import invoice_verify, ledger_verify

    peaceful = billed_tenant("peaceful", subscriptions=SUBSCRIPTIONS, events=EVENTS)
    killed = billed_tenant("killed", subscriptions=SUBSCRIPTIONS, events=EVENTS)
    _, seconds = _billed(stack, peaceful)
    _, seconds_killed = _billed(stack, killed, KILLS)
    assert _invoices(peaceful) == _invoices(killed)
    assert LedgerTransaction.objects.of(killed).filter(invoice__isnull=False).count() == SUBSCRIPTIONS
    found = ledger_verify(killed)
    for invoice in invoices_to_verify(killed).iterator(100):
        found += invoice_verify(invoice)
    assert not found, found[:10]
    return {
        "kills": len(KILLS),
        "subscriptions": SUBSCRIPTIONS,
        "events": EVENTS,
        "seconds": round(seconds, 1),
        "seconds_killed": round(seconds_killed, 1),
        "differences": 0,
    }


def _billed(stack: Stack, tenant: Any, kills: tuple[tuple[str, str, float], ...] = ()) -> tuple[float, float]:
    """Bill the month; seconds until all was drafted, and until all was issued."""
    from billing.models import BillRun
    from billing.selectors.bill_runs import bill_run_for, bill_run_progress
    from billing.selectors.periods import month_window
    from billing.services.bill_runs import bill_run_start

    starts_on, ends_on = month_window(MONTH)
    started = time.perf_counter()
    run = bill_run_start(tenant=tenant, starts_on=starts_on, ends_on=ends_on)
    waiting, drafted_s = list(kills), 0.0
    while (run := bill_run_for(tenant, run.pk)).status == BillRun.Status.RUNNING:
        time.sleep(POLL_S)
        progress = bill_run_progress(run)
        if not drafted_s and not progress.pending:
            drafted_s = time.perf_counter() - started
        if waiting and _share(progress, waiting[0][1]) >= waiting[0][2]:
            name, _, _ = waiting.pop(0)
            sys.stderr.write(f"  {progress}: kill -9 of {name}\n")
            stack.kill(name)
    seconds = time.perf_counter() - started
    assert run.status == BillRun.Status.COMPLETED, run.status
    assert not waiting, f"over before {waiting}"
    sys.stderr.write(f"  {tenant.slug}: {SUBSCRIPTIONS / seconds:.1f} invoices/s\n")
    return drafted_s, seconds


def _share(progress: Any, status: str) -> float:
    done = progress.issued if status == "issued" else progress.total - progress.pending
    return done / progress.total


def _invoices(tenant: Any) -> list[tuple[str, ...]]:
    """What everybody was billed, in the order of the numbers; wallets and so their invoices' bytes differ by their ids."""
    from billing.models import Invoice

    rows = Invoice.objects.of(tenant).order_by("sequence")
    names = ("sequence", "number", "customer__external_id", "total", "tax", "due_amount", "status")
    return [tuple(map(str, row)) for row in rows.values_list(*names)]


def _floor_per_s(tenant: Any) -> float:
    """Invoices a second when nothing is computed: the rows of the tenant's invoices copied into tables like theirs."""
    from django.db import connection

    tables = ("invoice", "invoiceline", "invoicetax", "ledgertransaction", "ledgerentry")
    with connection.cursor() as cursor:
        rows = {}
        for table in tables:
            cursor.execute(f"CREATE TABLE floor_{table} (LIKE billing_{table} INCLUDING ALL)")
            with cursor.copy(
                f"COPY (SELECT * FROM billing_{table} WHERE tenant_id = {tenant.pk}) TO STDOUT"
            ) as copy:
                rows[table] = [bytes(each) for each in copy]
        try:
            started = time.perf_counter()
            for table, lines in rows.items():
                with cursor.copy(f"COPY floor_{table} FROM STDIN") as copy:
                    for line in lines:
                        copy.write(line)
            return SUBSCRIPTIONS / (time.perf_counter() - started)
        finally:
            cursor.execute("DROP TABLE " + ", ".join(f"floor_{table}" for table in tables))
