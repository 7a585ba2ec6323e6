"""manage.py tax_rates"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.services.tax_tables import tax_table_import
from billing.tax_tables import NAMES


class Command(TenantCommand):
    help = (
        "Tax tables that are shipped: import adds the rates that the tenant has none of, and changes nothing that it has. "
        "Check them with your adviser: a table is as of the day that it names."
    )
    example = "manage.py tax_rates import eu --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["import"])
        parser.add_argument("table", choices=NAMES)
        parser.add_argument("--inclusive", action="store_true", help="prices contain the tax")

    def work(self, tenant: Tenant, *, table: str, inclusive: bool, **options: Any) -> None:
        done = tax_table_import(tenant=tenant, table=table, is_inclusive=inclusive)
        if options["json"]:
            self.json_print(
                {
                    "source": done.table.source,
                    "as_of": done.table.as_of,
                    "added": done.added,
                    "kept": done.kept,
                    "differing": done.differing,
                }
            )
            return
        self.stdout.write(f"{done.table.source}, as of {done.table.as_of}.")
        self.stdout.write(f"{done.added} rates are added, {done.kept} were there already.")
        for sentence in done.differing:
            self.stdout.write(sentence)
