"""manage.py reconcile"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Customer, Tenant
from entitlements.edge.reconciliation import Reconciled, edge_reconcile

CHUNK = 100
# What came in while it was counted has arrived everywhere by then.
SETTLED_S = 2.0


class Command(TenantCommand):
    help = (
        "Hold what the central site of the edge counts as used against the usage that is billed, recomputed from events, for "
        "every customer and metered feature. Names each difference with its numbers and ends with 1 where there is one; what "
        "differs is counted again after two seconds."
    )
    example = "manage.py reconcile --edge --tenant acme_corp"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--edge", action="store_true", required=True, help="the edge's counters")
        parser.add_argument("--customer", help="external_id of one customer; without it, all of them")

    def work(self, tenant: Tenant, *, customer: str | None, **options: Any) -> None:
        customers = Customer.objects.of(tenant).order_by("pk")
        if customer is not None:
            customers = customers.filter(external_id=customer)
        rows = list(customers)
        found: list[Reconciled] = []
        for start in range(0, len(rows), CHUNK):
            found += edge_reconcile(tenant, rows[start : start + CHUNK])
        drifting = {one.customer for one in found if one.drift}
        if drifting:
            time.sleep(SETTLED_S)
            again = edge_reconcile(tenant, [row for row in rows if row.external_id in drifting])
            found = [one for one in found if one.customer not in drifting] + again
        wrong = [one for one in found if one.drift]
        if options["json"]:
            self.json_print({"reconciled": len(found), "drift": [_row(one) for one in wrong]})
        else:
            for one in wrong:
                self.stdout.write(f"{one.customer} {one.feature}: {' '.join(one.drift)}")
            self.stdout.write(f"{len(found)} counters, {len(wrong)} of them with drift.")
        if wrong:
            sys.exit(1)


def _row(one: Reconciled) -> dict[str, Any]:
    return asdict(one) | {
        "window": {"start": one.window.start.isoformat(), "end": one.window.end.isoformat()}
    }
