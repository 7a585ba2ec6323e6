"""manage.py verify_audit: the chain of audit entries must be unbroken."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from aforo.audit.selectors import audit_verify
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant


class Command(TenantCommand):
    help = (
        "Walk the tenant's audit entries from the first to the last: none missing, moved, added or changed. Prints the head, "
        "to be kept outside the database; ends with 1 and names the first entry that is wrong."
    )
    example = "manage.py verify_audit --tenant acme_corp --head 42:9f86d0…"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            metavar="SEQUENCE:HASH",
            help="as an earlier run printed it; shows that nothing was cut off",
        )

    def work(self, tenant: Tenant, *, head: str | None, **options: Any) -> None:
        verdict = audit_verify(tenant, known_head=head)
        if options["json"]:
            self.json_print(asdict(verdict))
        else:
            self.stdout.write(verdict.first_wrong or "Nothing is wrong.")
            self.stdout.write(f"{verdict.entries:,} entries; head {verdict.head}")
        if verdict.first_wrong:
            sys.exit(1)
