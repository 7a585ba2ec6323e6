"""manage.py log"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as StoreError
from rich.console import Console
from rich.table import Table

from aforo.http.rendering import json_bytes
from aforo.kernel.clock import now
from metering.backlog import ShardBacklog, backlogs, spool_waiting_bytes


class Command(BaseCommand):
    help = (
        "How far the writers are behind: for each shard of the event log what waits, since when, who writes it, and what was "
        "set aside for a person to look at. Ends with 1 where a shard has entries and no writer, or the log does not answer."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog="Example: manage.py log status --json", **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status"])
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, json: bool, **options: Any) -> None:
        try:
            found = backlogs()
        except StoreError as error:
            raise CommandError(f"PostgreSQL cannot be asked: {error}") from None
        spool = spool_waiting_bytes()
        if json:
            shards = [{**asdict(one), "behind_s": one.behind_s} for one in found]
            self.stdout.write(json_bytes({"shards": shards, "spool_bytes": spool}).decode())
        else:
            self._show(found, spool)
        for one in found:
            if one.entries is None:
                raise CommandError(
                    "The log does not answer; events go to the store meanwhile. Bring the log back."
                )
            if one.writer is None and one.entries + one.rows:
                raise CommandError(f"Nobody writes shard {one.shard}; start manage.py writer.")

    def _show(self, found: list[ShardBacklog], spool: int) -> None:
        table = Table()
        for title in ("shard", "in the log", "in the store", "behind", "last write", "writer", "set aside"):
            table.add_column(title, justify="left" if title == "writer" else "right")
        for one in found:
            table.add_row(
                str(one.shard),
                "does not answer"
                if one.entries is None
                else f"{one.entries:,}{'' if one.is_counted_out else ' or more'} ({one.bytes:,} bytes)",
                f"{one.rows:,} ({one.rows_bytes:,} bytes)",
                "unknown" if one.behind_s is None else f"{one.behind_s:.1f} s",
                "never"
                if one.written_at is None
                else f"{(now() - one.written_at).total_seconds():.1f} s ago",
                one.writer or "nobody",
                f"{one.set_aside:,}",
            )
        console = Console(file=self.stdout, width=140)
        console.print(table)
        if spool:
            console.print(f"{spool:,} bytes in this host's spool.")
