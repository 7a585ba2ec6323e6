"""Commands that work on one tenant's data: whose it is, how the answer is printed, how a fault is said."""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from aforo.kernel.errors import Problem

from ..models import Environment, Tenant
from ..selectors.tenants import tenant_by_slug


class TenantCommand(BaseCommand):
    """Takes --tenant, --test and --json; a Problem becomes one sentence on stderr and exit code 1.

    Subclasses set `help` and `example` (shown by --help), add their own arguments in `add_arguments`, and define
    `work(tenant, **options)`.
    """

    example: ClassVar[str]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, epilog=f"Example: {self.example}", **kwargs)
        parser.add_argument(
            "--tenant",
            default=os.environ.get("AFORO_TENANT"),
            help="slug of the tenant, such as acme_corp (AFORO_TENANT; not needed where there is one only)",
        )
        parser.add_argument(
            "--test", action="store_true", help="its test environment; without this the live one"
        )
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
        return parser

    def handle(self, **options: Any) -> None:
        try:
            tenant = _tenant(options.pop("tenant"), is_test=options.pop("test"))
            self.work(tenant, **options)
        except Problem as problem:
            raise CommandError(sentence(problem)) from None
        except (OperationalError, redis.ConnectionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"A server does not answer ({reason}). Start them with `make run`, or set DATABASE_URL, "
                "REDIS_URL and LOG_REDIS_URL."
            ) from None

    def work(self, tenant: Tenant, **options: Any) -> None:
        """What the command does. May raise Problem."""
        raise NotImplementedError

    def json_print(self, answer: Any) -> None:
        """One JSON object on stdout; decimals and instants as text."""
        self.stdout.write(json.dumps(answer, ensure_ascii=False, default=str))


def sentence(problem: Problem) -> str:
    """The problem for a terminal: its detail, and each field that is wrong."""
    errors = problem.facts.get("errors")
    fields = [f"\n  {name}: {what}" for name, what in errors.items()] if isinstance(errors, dict) else []
    return problem.detail + "".join(fields)


def _tenant(slug: str | None, *, is_test: bool) -> Tenant:
    environment = Environment.TEST if is_test else Environment.LIVE
    if slug is None:
        slugs = list(Tenant.objects.values_list("slug", flat=True).distinct().order_by("slug")[:10])
        if len(slugs) != 1:
            there = (
                f"there are {', '.join(slugs)}" if slugs else "there is none; manage.py demo_seed makes one"
            )
            raise CommandError(f"Which tenant? Say --tenant SLUG; {there}.")
        slug = slugs[0]
    return tenant_by_slug(slug, environment=environment)
