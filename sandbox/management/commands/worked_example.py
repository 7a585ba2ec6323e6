"""manage.py worked_example"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from aforo.kernel.decimals import plain
from sandbox.worked_example import WorkedExample, worked_example


class Command(BaseCommand):
    help = "Run files of catalog, usage and expected invoice through the pipeline: PASS, or FAIL with the difference."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        epilog = "Example: manage.py worked_example tests/worked_examples/*.toml"
        return super().create_parser(prog_name, subcommand, epilog=epilog, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="TOML, see docs/billing/worked_examples.md"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a file instead")
        parser.add_argument("--tenant", help="accepted by every command; a worked example brings its own")

    def handle(self, *, files: list[str], **options: Any) -> None:
        console = Console(file=self.stderr)
        many = len(files) > 20 and not options["json"]
        results = []
        for name in track(files, description="Worked examples", console=console) if many else files:
            results.append((name, worked_example(_text(name))))
            if options["json"]:
                self.stdout.write(json.dumps(_document(*results[-1]), ensure_ascii=False))
        if not options["json"]:
            for name, result in results:
                _print(Console(file=self.stdout, highlight=False), name, result)
        failed = sum(not result.is_pass for _, result in results)
        if failed:
            raise CommandError(f"{failed} of {len(results)} failed")


def _text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name}: {error}") from None


def _document(name: str, result: WorkedExample) -> dict[str, Any]:
    return {
        "file": name,
        "title": result.title,
        "verdict": result.verdict,
        "error": result.error or None,
        "figures": {key: plain(amount) for key, amount in result.figures.items()},
        "differences": [asdict(each) for each in result.differences],
        "result_hash": result.result_hash,
    }


def _print(console: Console, name: str, result: WorkedExample) -> None:
    colour = "green" if result.is_pass else "red"
    console.print(
        f"[bold {colour}]{result.verdict}[/] {escape(name)}  [dim]{escape(result.title)}[/]", soft_wrap=True
    )
    if result.error:
        console.print(f"  {result.error}", markup=False, soft_wrap=True)
    if result.differences:
        table = Table("figure", "expected", "actual")
        for each in result.differences:
            table.add_row(each.field, each.expected or "–", each.actual or "–")
        console.print(table)
