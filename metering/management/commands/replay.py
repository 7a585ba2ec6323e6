"""manage.py replay"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aforo.kernel.periods import instant_text
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import customer_for
from metering.decoding import EVENTS_MAX
from metering.delivery import Delivery, HttpDelivery
from metering.intake.timestamp import NoInstant, instant_of
from metering.recordings import FORMS
from metering.services.replays import BATCH_SIZE, LogDelivery, Replay, recording_replay, rows_counted

URL_DEFAULT = "http://127.0.0.1:8000"


class Command(TenantCommand):
    help = (
        "Send a recorded file as one customer's usage, moved into a month. Formats: llm-csv (TIMESTAMP, ContextTokens, "
        "GeneratedTokens), combined-log (a web server's access log), ndjson (events). The same file makes the same "
        "keys, so a repetition counts nothing twice. An unreadable row becomes a dead letter and is named."
    )
    example = "manage.py replay sandbox/data/azure_llm_conv_2023.csv --format llm-csv --customer cust_abc --into 2026-10"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--format", required=True, choices=list(FORMS), dest="form")
        parser.add_argument("--customer", required=True, help="external id of the customer, such as cust_abc")
        parser.add_argument(
            "--into", metavar="YYYY-MM", help="the month, in the customer's zone, for all rows"
        )
        parser.add_argument(
            "--at", metavar="INSTANT", help="where the first row goes, such as 2026-10-01T00:00:00Z"
        )
        parser.add_argument(
            "--via",
            choices=["http", "direct"],
            default="http",
            help="the ingest API, or intake and log at once",
        )
        parser.add_argument(
            "--url",
            default=os.environ.get("AFORO_URL", URL_DEFAULT),
            help="of the ingest API (AFORO_URL); its key is read from AFORO_API_KEY",
        )
        parser.add_argument(
            "--key-prefix", metavar="TEXT", help="keys are TEXT:<row>; by default the file's name"
        )
        parser.add_argument("--rows", type=int, metavar="N", help="only the first N rows")
        parser.add_argument(
            "--batch", type=int, default=BATCH_SIZE, metavar="N", help="events in a request (1000)"
        )

    def work(self, tenant: Tenant, **options: Any) -> None:
        if not 1 <= options["batch"] <= EVENTS_MAX:
            raise CommandError(f"--batch is {options['batch']}; a request holds 1 to {EVENTS_MAX} events.")
        if options["rows"] is not None and options["rows"] < 0:
            raise CommandError(f"--rows is {options['rows']}; it cannot be negative.")
        at = _instant(options["at"])
        customer = customer_for(tenant, options["customer"])
        total = rows_counted(options["file"])
        console = Console(stderr=True)
        with _progress(console) as progress:
            task = progress.add_task(options["file"].name, total=min(total, options["rows"] or total))
            replay = recording_replay(
                customer=customer,
                path=options["file"],
                form=options["form"],
                delivery=self._delivery(tenant, console, options),
                into=options["into"],
                at=at,
                key_prefix=options["key_prefix"],
                rows_max=options["rows"],
                batch_size=options["batch"],
                on_batch=lambda replay: progress.update(task, completed=replay.rows),
            )
            progress.update(task, total=replay.rows)
        if options["json"]:
            self.json_print(replay.document())
        else:
            self._print(replay)
        if replay.rows and replay.refused.total() == replay.rows:
            raise CommandError("Every row was refused; nothing is counted.")

    def _delivery(self, tenant: Tenant, console: Console, options: dict[str, Any]) -> Delivery:
        if options["via"] == "direct":
            return LogDelivery(tenant)
        key = os.environ.get("AFORO_API_KEY")
        if not key:
            raise CommandError(
                "AFORO_API_KEY is not set: an API key of the tenant, as `make run` prints it. "
                "Or run it as: python -m aforo.runtime with-app -- manage.py replay …"
            )
        return HttpDelivery(
            url=options["url"],
            key=key,
            tenant_slug=tenant.slug,
            on_pause=lambda seconds, why: console.print(
                f"Trying again in {seconds:g} s ({why}).", markup=False
            ),
        )

    def _print(self, replay: Replay) -> None:
        span = ""
        if replay.first_at and replay.last_at:
            span = f", {instant_text(replay.first_at)} to {instant_text(replay.last_at)}"
        self.stdout.write(f"{replay.rows:,} rows sent{span}.")
        self.stdout.write(
            f"{replay.accepted:,} accepted, {replay.duplicates:,} duplicates, {replay.refused.total():,} refused "
            f"(dead letters)."
        )
        for code, count in replay.refused.most_common():
            self.stdout.write(f"  {code}: {count:,}")
        for example in replay.examples:
            self.stdout.write(f"  {example}")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _instant(text: str | None) -> datetime | None:
    try:
        return instant_of(text) if text is not None else None
    except NoInstant as error:
        raise CommandError(f"--at {error}.") from None
