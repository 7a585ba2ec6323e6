"""manage.py plan_migration"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import Progress

from aforo.kernel.periods import instant_text
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.documents.bodies import amount_text
from billing.services.plan_migrations import MigrationPreview, migration_preview, plan_migrate


class Command(TenantCommand):
    help = (
        "Subscriptions from one version of a rate plan to another: preview bills their last full period under both and says "
        "who would pay less and who more; run moves them, now or at the end of their period. Run again, it moves the rest."
    )
    example = "manage.py plan_migration preview llm-payg --from 1 --to 2 --csv effects.csv --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["preview", "run"])
        parser.add_argument("plan", help="code of the rate plan")
        parser.add_argument(
            "--from", type=int, required=True, metavar="N", dest="version", help="version held"
        )
        parser.add_argument("--to", type=int, required=True, metavar="N", help="version to hold")
        parser.add_argument(
            "--subscription",
            action="append",
            default=[],
            metavar="CODE",
            help="only this one; may be repeated",
        )
        parser.add_argument("--present", action="store_true", help="of preview: the present period so far")
        parser.add_argument(
            "--csv", type=Path, metavar="FILE", help="of preview: a row for each subscription"
        )
        parser.add_argument(
            "--effective", choices=["now", "period_end"], default="period_end", help="of run (period_end)"
        )

    def work(self, tenant: Tenant, *, action: str, plan: str, version: int, to: int, **options: Any) -> None:
        what = {"tenant": tenant, "plan": plan, "version": version, "to": to}
        with self._progress(is_shown=not options["json"]) as told:
            what |= {"subscriptions": options["subscription"], "on_progress": told}
            if action == "run":
                done = plan_migrate(**what, is_at_period_end=options["effective"] == "period_end")
                answer = asdict(done)
            else:
                preview = migration_preview(**what, is_present=options["present"])
                answer = _figures(preview)
                if options["csv"]:
                    _write(preview, options["csv"])
        if options["json"]:
            self.json_print(answer)
            return
        refused = answer.pop("refused")
        for name, value in answer.items():
            self.stdout.write(f"{name:<10}{value}")
        for each in refused:
            self.stdout.write(f"{each['subscription']}: {each['sentence']}")

    @contextmanager
    def _progress(self, *, is_shown: bool) -> Iterator[Callable[[int, int], None]]:
        with Progress(console=Console(stderr=True), disable=not is_shown) as bar:
            task = bar.add_task("Subscriptions", total=None)
            yield lambda done, every: bar.update(task, completed=done, total=every)


def _figures(preview: MigrationPreview) -> dict[str, Any]:
    amounts = {
        name: amount_text(getattr(preview, name), preview.currency) for name in ("before", "after", "delta")
    }
    return {
        "currency": preview.currency,
        **amounts,
        "winners": preview.winners,
        "losers": preview.losers,
        "refused": [asdict(each) for each in preview.refused],
    }


def _write(preview: MigrationPreview, path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "subscription", "start", "end", "currency", "before", "after", "delta"])
        for effect in preview.effects:
            rows.writerow(
                [
                    *(effect.customer, effect.subscription),
                    *(instant_text(effect.period.start), instant_text(effect.period.end), preview.currency),
                    *(amount_text(x, preview.currency) for x in (effect.before, effect.after, effect.delta)),
                ]
            )
