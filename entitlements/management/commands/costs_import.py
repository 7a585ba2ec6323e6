"""manage.py costs_import: costs from elsewhere, from a CSV file."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from entitlements.services.margins import cost_rows, costs_import


class Command(TenantCommand):
    help = (
        "Take over what customers cost by somebody else's bill, all of the file or none of it. CSV with a header line: customer, on, "
        "amount, currency, source, external_key. A figure (source and external_key) again counts once, with what was said last."
    )
    example = "manage.py costs_import openai-2026-03.csv --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV file; - reads stdin")

    def work(self, tenant: Tenant, *, file: Path, **options: Any) -> None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        done = costs_import(
            tenant=tenant, actor="manage.py costs_import", rows=cost_rows(csv.DictReader(text.splitlines()))
        )
        if options["json"]:
            self.json_print(asdict(done))
        else:
            self.stdout.write(f"{done.added:,} added, {done.changed:,} changed, {done.same:,} as they were.")
