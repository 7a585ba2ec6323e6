"""manage.py verify_invoice: recomputes invoices from their sealed input and compares."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.selectors.invoices import invoice_for, issued_invoices_for
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
        if options["all"]:
            invoices = issued_invoices_for(tenant).select_related(
                "customer", "subscription__customer__parent", "tenant"
            )
            found = invoices.iterator(100)
        else:
            found = iter([invoice_for(tenant, options["invoice"])])
        differences = {invoice.number or str(invoice.pk): invoice_verify(invoice) for invoice in found}
        wrong = {name: sentences for name, sentences in differences.items() if sentences}
        if options["json"]:
            self.json_print({"invoices": len(differences), "differences": wrong})
        else:
            for name, sentences in wrong.items():
                self.stdout.write("\n".join(f"{name}: {sentence}" for sentence in sentences))
            self.stdout.write(f"{len(differences)} verified, {len(wrong)} differ.")
        if wrong:
            sys.exit(1)
