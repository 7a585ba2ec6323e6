"""manage.py demo"""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from rich.console import Console, RenderableType

from aforo.console import demo
from aforo.console.invoice_table import invoice_table
from aforo.kernel.canonical import content_hash
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.documents.bodies import invoice_body
from billing.posting import Document
from billing.selectors.bill_runs import bill_run_active_for
from billing.selectors.invoices import live_invoices_for
from billing.selectors.periods import month_window
from billing.selectors.subscriptions import subscription_for
from metering.conservation import Conservation, conservation_between, conservation_for, events_stored
from metering.log import shard_of
from metering.writer import Writer


class Command(TenantCommand):
    help = (
        "Replay a recorded hour of LLM requests for the demo's customer, bill the month with the workers, and print the "
        "invoice and what became of every event. Ends with 0 only if nothing was lost and the invoice is there. "
        "A second run sends the same events: all are duplicates, and the invoice is the same."
    )
    example = "python -m aforo.runtime with-app -- manage.py demo --rows 10000"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, metavar="N", help="only the first N of the 19,366 requests")

    def work(self, tenant: Tenant, **options: Any) -> None:
        self.is_quiet = options["json"]
        month = f"{demo.demo_month(tenant):%Y-%m}"
        before = conservation_for(tenant)

        rows = [f"--rows={options['rows']}"] if options["rows"] is not None else []
        replay = self._command(
            "replay", demo.RECORDING.relative_to(settings.BASE_DIR), f"--format={demo.RECORDING_FORM}",
            f"--customer={demo.CUSTOMER}", f"--into={month}", f"--key-prefix={demo.KEY_PREFIX}", *rows,
        )  # fmt: skip
        self._say(
            f"{replay['rows']:,} requests sent: {replay['accepted']:,} accepted, "
            f"{replay['duplicates']:,} duplicates, {replay['refused']:,} refused."
        )
        # Waits for the writer, and does its work where there is none.
        Writer(shard_of(tenant.pk)).drain()
        self._bill(tenant, month)
        invoice = self._invoice(tenant, month)
        self._answer(replay, invoice, before, conservation_for(tenant), tenant)

    def _bill(self, tenant: Tenant, month: str) -> None:
        """By the workers; a run that an earlier demo left behind is taken up."""
        starts_on, ends_on = month_window(month)
        active = bill_run_active_for(tenant, starts_on=starts_on, ends_on=ends_on)
        self._command(
            "bill_run", f"--period={month}", "--finalize", "--wait", *(["--resume"] if active else [])
        )

    def _invoice(self, tenant: Tenant, month: str) -> dict[str, Any]:
        subscription = subscription_for(tenant, demo.SUBSCRIPTION)
        invoice = live_invoices_for(subscription).filter(period_start=subscription.starts_at).first()
        if invoice is None:
            raise CommandError(f"There is no invoice of {month}.")
        return invoice_body(Document(invoice, tuple(invoice.lines.all()), tuple(invoice.taxes.all())))

    def _answer(
        self,
        replay: dict[str, Any],
        invoice: dict[str, Any],
        before: Conservation,
        after: Conservation,
        tenant: Tenant,
    ) -> None:
        now = conservation_between(before, after)
        stored = events_stored(tenant)
        # A batch whose answer was lost is received twice, so at least the rows.
        is_conserved = (
            now.is_conserved
            and after.is_conserved
            and now.received >= replay["rows"]
            and stored == after.accepted
        )
        digest = content_hash(invoice)
        if self.is_quiet:
            self.json_print(
                {
                    "replay": replay,
                    "invoice": invoice,
                    "invoice_sha256": digest,
                    "conservation": {
                        "received": now.received,
                        "accepted": now.accepted,
                        "duplicates": now.duplicates,
                        "dead_letters": now.dead_letters,
                    },
                    "events_stored": stored,
                    "is_conserved": is_conserved,
                }
            )
        else:
            self._show(invoice_table(invoice))
            self._say(f"\nSHA-256 of the invoice  {digest}")
            self._say(f"This run   {now}")
            self._say(f"In all     {after}; {stored:,} events stored")
        if not is_conserved:
            sys.stderr.write("Not conserved: what was sent is not what was counted.\n")
            sys.exit(1)

    def _command(self, *words: object) -> dict[str, Any]:
        """Run another command as a person would, show which, and return its JSON answer."""
        texts = [str(word) for word in words]
        self._say("$ manage.py " + " ".join(texts))
        answer = StringIO()
        call_command(*texts, "--json", stdout=answer)
        return json.loads(answer.getvalue())

    def _say(self, text: str) -> None:
        if not self.is_quiet:
            self.stdout.write(text)

    def _show(self, what: RenderableType) -> None:
        console = Console()
        with console.capture() as captured:
            console.print()
            console.print(what)
        self.stdout.write(captured.get())
