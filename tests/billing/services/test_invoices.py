"""Load, run, post: from rows to an invoice that a pencil agrees with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from billing.models import Contract, Invoice, InvoiceLine, LedgerTransaction, WalletBurn
from billing.selectors.ledger import ledger_entries_for, trial_balance
from billing.services.invoices import invoice_issue, invoice_preview
from tests.billing.builders import (
    APRIL_2,
    MARCH,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    demo_subscription,
    drafted,
    issued,
    used,
)
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)


@pytest.mark.promise("P16")
def test_the_demo_invoice_adds_up_by_hand():
    # 10,000,000 x 0.0000025 + 12,361,870 x 0.0000020 = 25 + 24.72374 = 49.72; (4,088,665 - 500,000) x 0.00001 = 35.89;
    # (19,366 - 10,000) in blocks of 1,000: 10 x 0.10 = 1.00; base 49.09; subtotal 135.70.
    # 5 % is 6.785 -> 6.79; 8.875 % of 128.91 is 11.4407... -> 11.44; total 140.35.
    invoice = issued(demo_subscription(a_tenant()))
    lines = {line.code: line.amount for line in invoice.lines.all()}
    assert lines == {
        "base": Decimal("49.09"),
        "input": Decimal("49.72"),
        "output": Decimal("35.89"),
        "requests": Decimal("1.00"),
        "welcome": Decimal("-6.79"),
    }
    assert (invoice.subtotal, invoice.discount, invoice.tax) == (
        Decimal("135.70"),
        Decimal("-6.79"),
        Decimal("11.44"),
    )
    assert invoice.total == invoice.due_amount == Decimal("140.35")
    assert (invoice.number, invoice.status) == ("INV-000001", "OPEN")


def test_drafting_again_gives_the_same_draft_and_the_same_bytes():
    subscription = demo_subscription(a_tenant())
    first = drafted(subscription)
    second = drafted(subscription)
    assert (second.pk, second.input_hash, second.result_hash) == (
        first.pk,
        first.input_hash,
        first.result_hash,
    )
    assert bytes(second.sealed_input) == bytes(first.sealed_input)
    assert Invoice.objects.count() == 1
    assert InvoiceLine.objects.count() == 5


def test_a_draft_takes_in_what_was_used_since():
    subscription = demo_subscription(a_tenant())
    requests = subscription.items.get().plan_version.charges.get(code="requests").meter
    drafted(subscription)
    used(subscription.customer, requests, "1000", at=MARCH.end - timedelta(seconds=1))
    # 20,366 - 10,000 is 11 blocks of 1,000, one more than before.
    assert drafted(subscription).subtotal == Decimal("135.80")


@pytest.mark.promise("P17")
def test_an_issued_invoice_stands():
    subscription = demo_subscription(a_tenant())
    invoice = issued(subscription)
    used(
        subscription.customer,
        subscription.items.get().plan_version.charges.get(code="requests").meter,
        "1000000",
        at=MARCH.start,
    )
    again = issued(subscription, at=APRIL_2 + timedelta(days=1))
    assert (again.pk, again.number, again.total) == (invoice.pk, "INV-000001", Decimal("140.35"))
    assert LedgerTransaction.objects.count() == 1


def test_the_database_keeps_an_issued_invoice_as_it_is():
    invoice = issued(demo_subscription(a_tenant()))
    for change in (
        lambda: Invoice.objects.update(total=1, due_amount=1),
        lambda: invoice.lines.update(amount=1),
        lambda: invoice.taxes.all().delete(),
        lambda: InvoiceLine.objects.create(
            tenant=invoice.tenant,
            invoice=invoice,
            position=9,
            kind="CREDIT",
            code="x",
            description="x",
            amount=-1,
        ),
    ):
        with pytest.raises(IntegrityError, match="issued and never changes"), transaction.atomic():
            change()


@pytest.mark.promise("P48")
def test_issuing_books_once_in_double_entry():
    invoice = issued(demo_subscription(a_tenant()))
    # Receivable 140.35 and discount 6.79 against revenue 135.70 and tax 11.44.
    assert {entry.account: entry.amount for entry in ledger_entries_for(invoice.tenant)} == {
        "receivable": Decimal("140.35"),
        "discount": Decimal("6.79"),
        "revenue": Decimal("-135.70"),
        "tax_payable": Decimal("-11.44"),
    }
    assert trial_balance(invoice.tenant).off == {}


def test_the_due_date_counts_from_the_customers_own_day():
    # 2 April 09:00Z is 1 April 23:00 in Honolulu; the offering's 30 days end on 1 May.
    subscription = a_subscription(customer(a_tenant(), timezone="Pacific/Honolulu"), a_fee())
    march = Period(datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 4, 1, 10, tzinfo=UTC))
    assert issued(subscription, march).due_on == date(2026, 5, 1)


def test_a_contracts_payment_terms_go_before_the_offerings():
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    Contract.objects.create(
        tenant=tenant,
        code="net-60",
        subscription=subscription,
        starts_on=date(2026, 1, 1),
        payment_terms_days=60,
    )
    assert issued(subscription).due_on == date(2026, 6, 1)


def test_numbers_have_no_gap_and_each_invoice_names_the_one_before():
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    first, second = issued(subscription, FEBRUARY), issued(subscription)
    assert (first.number, second.number) == ("INV-000001", "INV-000002")
    assert (first.previous_hash, second.previous_hash) == ("", first.chain_hash)


def test_each_tenant_counts_for_itself():
    for slug in ("acme_corp", "globex"):
        assert issued(a_subscription(customer(a_tenant(slug)), a_fee())).number == "INV-000001"


def hybrid(*grants):
    """100.00 a month, paid from the wallet first."""
    buyer = customer(a_tenant())
    for amount, kind in grants:
        a_grant(buyer, amount, kind)
    return a_subscription(buyer, a_fee("100.00"), mode="HYBRID")


@pytest.mark.promise("P48")
def test_a_wallet_pays_first_and_is_debited_once():
    # February takes the promotional 20.00 and then the customer's own 50.00; March finds nothing left.
    subscription = hybrid(("50.00", "CASH"), ("20.00", "PROMO"))
    february, march = issued(subscription, FEBRUARY), issued(subscription)
    assert (february.wallet_amount, february.due_amount) == (Decimal("70.00"), Decimal("30.00"))
    assert (march.wallet_amount, march.due_amount) == (Decimal("0.00"), Decimal("100.00"))
    assert sorted(burn.amount for burn in WalletBurn.objects.all()) == [Decimal("20.00"), Decimal("50.00")]


def test_a_drafts_stale_balance_never_pays():
    # Both drafts saw 70.00 in the wallet; the invoice issued first takes it.
    subscription = hybrid(("70.00", "CASH"))
    february, march = drafted(subscription, FEBRUARY), drafted(subscription)
    assert february.wallet_amount == march.wallet_amount == Decimal("70.00")
    with clock_at(APRIL_2):
        for draft, from_wallet in ((february, "70.00"), (march, "0.00")):
            invoice = invoice_issue(tenant=subscription.tenant, invoice_id=draft.pk)
            assert invoice.wallet_amount == Decimal(from_wallet)


def test_nothing_due_is_paid():
    invoice = issued(hybrid(("100.00", "CASH")))
    assert (invoice.status, invoice.due_amount) == ("PAID", Decimal("0.00"))


def test_a_paying_parent_pays_from_its_own_wallet():
    tenant = a_tenant()
    parent = customer(tenant, "holding")
    a_grant(parent, "30.00")
    subscription = a_subscription(customer(tenant, "branch", parent=parent), a_fee(), mode="HYBRID")
    invoice = issued(subscription)
    assert (invoice.wallet_amount, invoice.due_amount) == (Decimal("30.00"), Decimal("70.00"))
    assert {entry.customer for entry in ledger_entries_for(tenant)} == {parent}


def test_a_preview_stores_nothing():
    subscription = demo_subscription(a_tenant())
    preview = invoice_preview(
        tenant=subscription.tenant, subscription_code=subscription.code, at=datetime(2026, 3, 20, tzinfo=UTC)
    )
    assert preview.invoice.total == Decimal("140.35")
    assert not Invoice.objects.exists()


def test_a_run_that_is_stopped_says_why():
    tenant = a_tenant()
    subscription = a_subscription(
        customer(tenant), {"code": "calls", "meter": meter(tenant), "model": "PER_UNIT", "amount": Decimal(5)}
    )
    with pytest.raises(Problem, match="unit_price") as caught:
        drafted(subscription)
    assert caught.value.code == "state_conflict"


def test_a_void_invoice_is_not_issued():
    invoice = drafted(a_subscription(customer(a_tenant()), a_fee()))
    Invoice.objects.update(status="VOID")
    with pytest.raises(Problem) as caught:
        invoice_issue(tenant=invoice.tenant, invoice_id=invoice.pk)
    assert caught.value.code == "state_conflict"


def test_another_tenants_invoice_is_not_found():
    invoice = drafted(a_subscription(customer(a_tenant()), a_fee()))
    with pytest.raises(Problem) as caught:
        invoice_issue(tenant=a_tenant("globex"), invoice_id=invoice.pk)
    assert caught.value.code == "not_found"
