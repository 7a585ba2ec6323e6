from decimal import Decimal

import pytest

from billing.ledger.journal import Entry, book
from billing.models import LedgerEntry
from billing.selectors.ledger import trial_balance
from tests.billing.builders import a_tenant, tampering

pytestmark = pytest.mark.django_db


def booked(tenant, reference, **amounts):
    entries = [Entry(account, "USD", Decimal(amount)) for account, amount in amounts.items()]
    return book(tenant=tenant, reference=reference, description=reference, entries=entries)


def test_the_trial_balance_sums_each_side_of_each_account():
    # 119.00 invoiced, 20.00 of it credited back: receivable 119.00 - 23.80, revenue 20.00 - 100.00, tax 3.80 - 19.00.
    tenant = a_tenant()
    booked(tenant, "invoice:1", receivable="119.00", revenue="-100.00", tax_payable="-19.00")
    booked(tenant, "reversal:1", receivable="-23.80", revenue="20.00", tax_payable="3.80")
    balance = trial_balance(tenant)
    assert [(row.account, row.debit, row.credit, row.balance) for row in balance.accounts] == [
        ("receivable", Decimal("119.00"), Decimal("23.80"), Decimal("95.20")),
        ("revenue", Decimal("20.00"), Decimal("100.00"), Decimal("-80.00")),
        ("tax_payable", Decimal("3.80"), Decimal("19.00"), Decimal("-15.20")),
    ]
    assert balance.off == {}


def test_another_tenants_entries_are_not_seen():
    booked(a_tenant("globex"), "invoice:1", receivable="119.00", revenue="-119.00")
    assert trial_balance(a_tenant()).accounts == ()


def test_a_ledger_off_balance_is_named_by_currency():
    tenant = a_tenant()
    transaction = booked(tenant, "invoice:1", receivable="119.00", revenue="-119.00")
    with tampering():
        LedgerEntry.objects.create(
            tenant=tenant, transaction=transaction, account="cash", currency="USD", amount=Decimal("0.01")
        )
    assert trial_balance(tenant).off == {"USD": Decimal("0.0100")}
