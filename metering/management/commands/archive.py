"""manage.py archive"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as StoreError
from django.db.models import Sum
from rich.console import Console
from rich.progress import Progress

from aforo.http.rendering import json_bytes
from aforo.kernel.errors import Problem
from metering.archive import ArchiveDamaged
from metering.models import ArchiveFile
from metering.services.archive import month_archive, month_restore, months_due


class Command(BaseCommand):
    help = (
        "Old events: run moves whole months out of the database into Parquet files (ARCHIVE_DIR), read back before the rows "
        "are dropped; restore brings a month back; status lists both. Keys stay known for ever, usage and invoices stay. "
        "Killed at any point, it is simply run again."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        example = "Example: manage.py archive run --keep-months 13 --dry-run"
        return super().create_parser(prog_name, subcommand, epilog=example, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "run", "restore"])
        parser.add_argument("month", nargs="?", type=_month, help="of restore, as 2026-03")
        parser.add_argument(
            "--keep-months",
            type=int,
            default=settings.EVENTS_KEPT_MONTHS,
            metavar="N",
            help="whole months that stay, beside the present one; at least 4 (EVENTS_KEPT_MONTHS)",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, action: str, json: bool, **options: Any) -> None:
        try:
            answer = getattr(self, f"_{action}")(**options)
        except (Problem, ArchiveDamaged, OSError, StoreError) as error:
            raise CommandError(str(error)) from None
        if json:
            self.stdout.write(json_bytes(answer).decode())
        else:
            for name, rows in answer.items():
                self.stdout.write(f"{name}:{'' if rows else ' nothing'}")
                for row in rows:
                    self.stdout.write("  " + "  ".join(f"{key} {value}" for key, value in row.items()))

    def _status(self, *, keep_months: int, **options: Any) -> dict[str, list[dict[str, Any]]]:
        files = ArchiveFile.objects.values("month").annotate(total=Sum("rows")).order_by("month")
        archived = [{"month": f"{row['month']:%Y-%m}", "rows": row["total"]} for row in files]
        return {"archived": archived, "due": _due(keep_months) if keep_months else []}

    def _run(self, *, keep_months: int, dry_run: bool, **options: Any) -> dict[str, list[dict[str, Any]]]:
        if not keep_months:
            raise CommandError("How much is to stay? Set EVENTS_KEPT_MONTHS, or give --keep-months N.")
        if dry_run:
            return {"would be archived": _due(keep_months)}
        done = []
        for month, rows in months_due(kept_months=keep_months):
            with _progress(f"Archiving {month:%Y-%m}", rows) as on_rows:
                for file in month_archive(month=month, on_rows=on_rows):
                    done.append({"path": file.path, "rows": file.rows, "sha256": file.sha256})
        return {"archived": done}

    def _restore(
        self, *, month: date | None, dry_run: bool, **options: Any
    ) -> dict[str, list[dict[str, Any]]]:
        if month is None:
            raise CommandError("Which month? Example: manage.py archive restore 2026-03")
        rows = ArchiveFile.objects.filter(month=month).aggregate(rows=Sum("rows", default=0))["rows"]
        if not dry_run:
            with _progress(f"Restoring {month:%Y-%m}", rows) as on_rows:
                rows = month_restore(month=month, on_rows=on_rows)
        return {"would be restored" if dry_run else "restored": [{"month": f"{month:%Y-%m}", "rows": rows}]}


def _due(keep_months: int) -> list[dict[str, Any]]:
    return [{"month": f"{month:%Y-%m}", "rows": rows} for month, rows in months_due(kept_months=keep_months)]


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


@contextmanager
def _progress(title: str, rows: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=rows)
        yield lambda count: progress.update(task, advance=count)
