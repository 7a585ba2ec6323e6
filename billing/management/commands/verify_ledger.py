"""manage.py verify_ledger: the trial balance must be zero, and the chain of invoices unbroken."""

from __future__ import annotations

import sys
from typing import Any

from aforo.kernel.decimals import plain
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from billing.selectors.ledger import trial_balance
from billing.services.verification import ledger_verify


class Command(TenantCommand):
    help = (
        "Add up the ledger by account and currency, which must come to zero, and walk the chain of issued invoices: no "
        "number missing, each naming the one before. Ends with 1 and names what is wrong."
    )
    example = "manage.py verify_ledger --tenant acme_corp"

    def work(self, tenant: Tenant, **options: Any) -> None:
        accounts, wrong = trial_balance(tenant).accounts, ledger_verify(tenant)
        if options["json"]:
            rows = [
                {
                    "account": row.account,
                    "currency": row.currency,
                    "debit": plain(row.debit),
                    "credit": plain(row.credit),
                    "balance": plain(row.balance),
                }
                for row in accounts
            ]
            self.json_print({"accounts": rows, "differences": wrong})
        else:
            for row in accounts:
                self.stdout.write(f"{row.account:<18}{row.balance:>20,.4f} {row.currency}")
            self.stdout.write("\n".join([*wrong, f"{len(wrong)} differences."]))
        if wrong:
            sys.exit(1)
