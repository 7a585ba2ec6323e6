"""Wallets of other currencies: where the tenant allows it, at the rate of the day, recorded for good."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import ExchangeRate, Wallet, WalletGrant
from billing.selectors.ledger import trial_balance
from billing.services.exchange_rates import exchange_rate_record
from billing.services.invoices import invoice_issue
from billing.services.profiles import billing_profile_set
from billing.services.verification import invoice_verify, ledger_verify
from tests.billing.builders import APRIL_2, MARCH, a_fee, a_subscription, a_tenant, drafted, issued
from tests.workspaces import customer

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P47")]
D = Decimal


@pytest.fixture
def buyer():
    """A customer billed 92.00 EUR a month, with 150.00 USD in a wallet and none in euros."""
    tenant = a_tenant()
    billing_profile_set(tenant=tenant, legal_name="Acme", pays_across_currencies=True)
    found = customer(tenant, currency="EUR")
    wallet = Wallet.objects.create(tenant=tenant, customer=found, currency="USD")
    WalletGrant.objects.create(
        tenant=tenant, wallet=wallet, kind="CASH", amount=D(150), starts_at=MARCH.start
    )
    return found


def test_an_invoice_in_euros_is_paid_in_dollars_at_the_days_rate(buyer):
    exchange_rate_record(tenant=buyer.tenant, base="USD", quote="EUR", on=date(2026, 4, 1), rate="0.92")
    subscription = a_subscription(buyer, a_fee("92.00"), mode="HYBRID")
    invoice = issued(subscription)
    assert (invoice.wallet_amount, invoice.due_amount, invoice.status) == (D(92), D(0), "PAID")
    assert [burn.amount for burn in invoice.wallet_burns.all()] == [D(100)]
    entries = invoice.ledger_transactions.get().entries
    assert {(entry.account, entry.currency): entry.amount for entry in entries.all()} == {
        ("exchange", "EUR"): D(92),
        ("revenue", "EUR"): D(-92),
        ("wallet_liability", "USD"): D(100),
        ("exchange", "USD"): D(-100),
    }
    assert trial_balance(buyer.tenant).off == {}
    # Recorded anew, the rate is for what comes; the invoice keeps its own.
    exchange_rate_record(tenant=buyer.tenant, base="USD", quote="EUR", on=date(2026, 4, 1), rate="0.50")
    assert invoice_verify(invoice) == []
    assert ledger_verify(buyer.tenant) == []


def test_without_the_tenants_word_other_currencies_pay_nothing(buyer):
    billing_profile_set(tenant=buyer.tenant, pays_across_currencies=False)
    invoice = issued(a_subscription(buyer, a_fee("92.00"), mode="HYBRID"))
    assert (invoice.wallet_amount, invoice.due_amount) == (D(0), D(92))


def test_a_rate_that_nobody_recorded_holds_the_invoice_up_until_it_is(buyer):
    subscription = a_subscription(buyer, a_fee("92.00"), mode="HYBRID")
    with pytest.raises(Problem, match="There is no rate from USD to EUR"):
        drafted(subscription)
    # Of a Thursday a week ago is too old; of the day before will do.
    exchange_rate_record(tenant=buyer.tenant, base="USD", quote="EUR", on=date(2026, 3, 25), rate="0.80")
    with pytest.raises(Problem, match="There is no rate from USD to EUR"):
        drafted(subscription)
    exchange_rate_record(tenant=buyer.tenant, base="USD", quote="EUR", on=date(2026, 3, 31), rate="0.92")
    draft = drafted(subscription)
    with clock_at(APRIL_2):
        assert invoice_issue(tenant=buyer.tenant, invoice_id=draft.pk).wallet_amount == D(92)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rate": "0"}, "A rate is above zero"),
        ({"rate": "-1"}, "A rate is above zero"),
        ({"quote": "USD"}, "A rate is between two currencies"),
        ({"base": "USDT"}, "ISO 4217"),
    ],
)
def test_what_is_no_rate_is_refused(fields, sentence):
    given = {"base": "USD", "quote": "EUR", "on": date(2026, 4, 1), "rate": "0.92", **fields}
    with pytest.raises(Problem, match=sentence):
        exchange_rate_record(tenant=a_tenant(), **given)
    assert not ExchangeRate.objects.exists()
