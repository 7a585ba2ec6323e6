"""Commands that answer JSON Lines: one request a line on stdin, one answer a line on stdout, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser

from aforo.kernel.errors import Problem


class JsonLinesCommand(BaseCommand):
    """A calculator at the command line; a request that cannot be answered is {"error": problem details}.

    Subclasses set `help`, `example` (shown by --help) and `answer`.
    """

    example: ClassVar[str]
    answer: Callable[[Mapping[str, Any]], dict[str, Any]]
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=f"Example: {self.example}", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="accepted by every command; a calculator needs none")
        parser.add_argument(
            "--json", action="store_true", help="accepted by every command; the answer is JSON anyway"
        )

    def handle(self, **options: Any) -> None:
        for line in sys.stdin.buffer:
            if line.strip():
                self.stdout.write(json.dumps(answered(type(self).answer, line), ensure_ascii=False))


def answered(answer: Callable[[Mapping[str, Any]], dict[str, Any]], line: bytes) -> dict[str, Any]:
    """The answer to one line, or its problem; never an exception, so that one bad line does not end the rest."""
    try:
        return answer(_request(line))
    except Problem as problem:
        return {"error": problem.document()}


def _request(line: bytes) -> Any:
    try:
        # Numbers are read as they are spelled: 0.1 is a tenth.
        return json.loads(line, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Problem("body_unreadable", f"The line is not JSON: {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
