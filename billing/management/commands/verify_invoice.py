"""manage.py verify_invoice: recomputes invoices from their sealed input and compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import track

from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.models import Invoice
from billing.selectors.invoices import invoice_for, invoices_to_verify
from billing.services.verification import invoice_verify


class Command(TenantCommand):
    help = (
        "Recompute invoices from their sealed input and compare lines, taxes, totals, ledger entries, wallet burns and "
        "hashes, byte for byte. Ends with 1 and names each difference."
    )
    example = "manage.py verify_invoice INV-000001 --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("invoice", nargs="?", help="number or id")
        parser.add_argument("--all", action="store_true", help="every issued invoice of the tenant")

    def work(self, tenant: Tenant, **options: Any) -> None:
        if options["all"] == bool(options["invoice"]):
            raise CommandError("Say which invoice, by number or id, or --all.")
        differences = {
            invoice.number or str(invoice.pk): invoice_verify(invoice)
            for invoice in (_tracked(tenant) if options["all"] else [invoice_for(tenant, options["invoice"])])
        }
        wrong = {name: sentences for name, sentences in differences.items() if sentences}
        if options["json"]:
            self.json_print({"invoices": len(differences), "differences": wrong})
        else:
            for name, sentences in wrong.items():
                self.stdout.write("\n".join(f"{name}: {sentence}" for sentence in sentences))
            self.stdout.write(f"{len(differences)} verified, {len(wrong)} differ.")
        if wrong:
            sys.exit(1)


def _tracked(tenant: Tenant) -> Iterable[Invoice]:
    """Every issued invoice, with a bar for whoever watches."""
    console = Console(stderr=True)
    invoices = invoices_to_verify(tenant)
    return track(
        invoices.iterator(100),
        "Verifying",
        invoices.count(),
        console=console,
        disable=not console.is_terminal,
    )
