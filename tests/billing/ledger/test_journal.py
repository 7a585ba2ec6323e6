from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from billing.ledger.journal import Entry, OffBalance, book
from billing.models import LedgerEntry, LedgerTransaction
from tests.billing.builders import a_tenant

pytestmark = pytest.mark.django_db

SALE = (
    Entry("receivable", "USD", Decimal("119.00")),
    Entry("revenue", "USD", Decimal("-100.00")),
    Entry("tax_payable", "USD", Decimal("-19.00")),
    Entry("discount", "USD", Decimal("0")),
)


def sale(tenant, **other):
    return book(tenant=tenant, reference="invoice:1", description="Invoice 1", **{"entries": SALE, **other})


def test_a_sale_is_booked_with_its_three_entries():
    booked = sale(a_tenant())
    assert {entry.account: entry.amount for entry in booked.entries.all()} == {
        "receivable": Decimal("119.00"),
        "revenue": Decimal("-100.00"),
        "tax_payable": Decimal("-19.00"),
    }


def test_a_reference_is_booked_once():
    tenant = a_tenant()
    assert sale(tenant) == sale(tenant)
    assert LedgerEntry.objects.count() == 3


def test_entries_off_balance_are_refused():
    with pytest.raises(OffBalance, match=r"is off by 0\.01 USD"):
        sale(a_tenant(), entries=[*SALE, Entry("discount", "USD", Decimal("0.01"))])


def test_each_currency_balances_by_itself():
    # 1.00 USD against 1.00 EUR sums to zero only for somebody who forgets the currency.
    entries = [Entry("cash", "USD", Decimal("1.00")), Entry("revenue", "EUR", Decimal("-1.00"))]
    with pytest.raises(OffBalance, match=r"-1\.00 EUR, 1\.00 USD"):
        sale(a_tenant(), entries=entries)


def test_the_database_refuses_what_is_off_balance():
    tenant = a_tenant()
    booked = sale(tenant)
    LedgerEntry.objects.create(
        tenant=tenant, transaction=booked, account="cash", currency="USD", amount=Decimal("0.01")
    )
    # The trigger is deferred to the commit; this asks for it now.
    with pytest.raises(IntegrityError, match=r"off by 0\.01"), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.promise("P50")
def test_entries_are_never_edited_or_removed():
    sale(a_tenant())
    for change in (
        lambda: LedgerEntry.objects.update(amount=0),
        lambda: LedgerEntry.objects.all().delete(),
        lambda: LedgerTransaction.objects.update(description="Another"),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()
