"""manage.py bill_run: bills a month, with its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.documents.bodies import bill_run_body
from billing.models import BillRun
from billing.selectors.bill_runs import Progress, bill_run_active_for, bill_run_for, bill_run_progress
from billing.selectors.periods import month_window
from billing.services.bill_runs import bill_run_queue, bill_run_start, bill_run_work, bill_runs_resume

POLL_S = 0.2
RESUME_EVERY_S = 10.0


class Command(TenantCommand):
    help = (
        "Bill every subscription period that ends in a month: draft all invoices, then issue them in one order. "
        "Running it again makes no second invoice; a run that was interrupted goes on with --resume."
    )
    example = "manage.py bill_run --tenant acme_corp --period 2026-03 --finalize"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--period", required=True, help="the month in the customers' zones, such as 2026-03"
        )
        parser.add_argument(
            "--finalize", action="store_true", help="issue the invoices; without this they stay drafts"
        )
        parser.add_argument(
            "--grace",
            type=int,
            metavar="HOURS",
            help="let the drafts wait for late events; beat issues them then (the billing profile's unless given)",
        )
        parser.add_argument(
            "--customer", action="append", default=[], help="only this external id; may be repeated"
        )
        parser.add_argument(
            "--resume", action="store_true", help="go on with the run of this month that is under way"
        )
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--inline", action="store_true", help="do the work in this process (the default)")
        where.add_argument("--wait", action="store_true", help="let the workers do it, and wait for them")

    def work(self, tenant: Tenant, **options: Any) -> None:
        run = self.run_of(tenant, **options)

        def follow(show: Callable[[Progress], None]) -> BillRun:
            if options["wait"]:
                return waited(tenant, run, show)
            return bill_run_work(tenant=tenant, run_id=run.pk, on_progress=show)

        finished = with_bar(run, follow, is_shown=not options["json"])
        body = bill_run_body(finished, bill_run_progress(finished))
        if options["json"]:
            self.json_print(body)
        else:
            self.stdout.write(summary(body))
        if finished.status == BillRun.Status.FAILED:
            sys.exit(1)

    def run_of(self, tenant: Tenant, **options: Any) -> BillRun:
        """The run to work on: the one under way, or a new one."""
        starts_on, ends_on = month_window(options["period"])
        if not options["resume"]:
            return bill_run_start(
                tenant=tenant,
                starts_on=starts_on,
                ends_on=ends_on,
                customers=tuple(options["customer"]),
                auto_finalize=options["finalize"],
                grace_hours=options["grace"],
                is_queued=options["wait"],
            )
        run = bill_run_active_for(tenant, starts_on=starts_on, ends_on=ends_on)
        if run is None:
            raise Problem("not_found", f"No bill run of {options['period']} is under way.")
        if options["wait"]:
            bill_run_queue(tenant=tenant, run_id=run.pk)
        return run


def waited(tenant: Tenant, run: BillRun, show: Callable[[Progress], None]) -> BillRun:
    """The run once the workers have finished it."""
    resume_at_s = time.monotonic() + RESUME_EVERY_S
    while run.status == BillRun.Status.RUNNING and not is_in_grace(run):
        time.sleep(POLL_S)
        if time.monotonic() >= resume_at_s:
            # As beat does, which may not run here: a killed worker's task would come back in an hour only.
            bill_runs_resume()
            resume_at_s += RESUME_EVERY_S
        show(bill_run_progress(run))
        run = bill_run_for(tenant, run.pk)
    return run


def is_in_grace(run: BillRun) -> bool:
    return run.issues_at is not None and now() < run.issues_at and not bill_run_progress(run).pending


def with_bar(
    run: BillRun, follow: Callable[[Callable[[Progress], None]], BillRun], *, is_shown: bool
) -> BillRun:
    """Follow a run with a bar on stderr, so that stdout carries the answer alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), disable=not is_shown) as bar:
        task = bar.add_task(f"Billing {run}", total=None)

        def show(progress: Progress) -> None:
            done = progress.total - progress.pending - (progress.drafted if run.auto_finalize else 0)
            bar.update(task, total=progress.total, completed=done)

        return follow(show)


def summary(body: dict[str, Any]) -> str:
    """Bill run 2026-03-01 to 2026-04-01: 3 invoices, 2 issued, 1 failed (cust_a, sub_1: …)."""
    progress = body["progress"]
    counts = ", ".join(
        f"{progress[name]} {name}" for name in ("drafted", "issued", "failed") if progress[name]
    )
    failures = [
        f"\n  {each['customer']}, {each['subscription']}: {each['error']}" for each in body["failures"]
    ]
    if body["issues_at"] and body["finished_at"] is None:
        counts += f"; issued after {body['issues_at']}"
    window = f"{body['starts_on']} to {body['ends_on']}"
    return (
        f"Bill run {window}: {progress['total']} periods, {counts or 'nothing to bill'}.{''.join(failures)}"
    )
