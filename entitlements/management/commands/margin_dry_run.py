"""manage.py margin_dry_run: what a margin policy would have done over the last days."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from aforo.kernel.decimals import rounded
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from entitlements.schemas import DryRunSerializer
from entitlements.services.margin_dry_run import DAYS, DryCustomer, margin_dry_run
from entitlements.services.margins import margin_policy_draft


class Command(TenantCommand):
    help = (
        "Judge each of the last days as enforcement does, the policy taken as if it were active. Changes nothing. "
        "Lists the customers that would have reached a level, the worst first."
    )
    example = "manage.py margin_dry_run standard --enforce --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("policy", help="its code")
        parser.add_argument("--days", type=int, default=DAYS, metavar="N", help=f"1 to 90 ({DAYS})")
        parser.add_argument("--enforce", action="store_true", help="as if its mode were ENFORCE")

    def work(self, tenant: Tenant, *, policy: str, days: int, enforce: bool, **options: Any) -> None:
        if not 1 <= days <= 90:
            raise CommandError("--days is a number from 1 to 90.")
        changes = {"mode": "ENFORCE"} if enforce else {}
        draft = margin_policy_draft(tenant=tenant, code=policy, **changes)
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("customers")
            run = margin_dry_run(
                tenant=tenant,
                policy=draft,
                days=days,
                progress=lambda done, count: bar.update(task, completed=done, total=count),
            )
        if options["json"]:
            self.json_print(DryRunSerializer(run).data)
            return
        reached = [one for one in run.customers if one.level_max]
        for one in reached:
            self.stdout.write(_line(one, draft.currency))
        self.stdout.write(
            f"{len(reached):,} of {len(run.customers):,} customers would have reached a level in {days} days."
        )


def _line(one: DryCustomer, currency: str) -> str:
    last = one.days[-1]
    margin = "no revenue" if last.percent is None else f"{rounded(last.percent, places=1, mode='half_up')} %"
    return (
        f"{one.customer.external_id}: up to L{one.level_max}, {margin} at the end; {one.withheld:,} of {one.calls:,} calls "
        f"refused, {rounded(one.cost_avoided, places=2, mode='half_up')} {currency} of cost avoided"
    )
