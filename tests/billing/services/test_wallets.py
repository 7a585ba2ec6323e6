"""Wallets: one a customer and currency; what is put in is booked, and what counts is what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import LedgerEntry, Wallet, WalletGrant
from billing.selectors.wallets import wallet_balance_at
from billing.services.wallets import wallet_grant_add, wallet_open
from tests import workspaces
from tests.billing.builders import a_fee, a_subscription, issued

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop() -> workspaces.Workspace:
    return workspaces.workspace()


def granted(shop, amount, kind="CASH", **fields) -> WalletGrant:
    with clock_at(NOON):
        return wallet_grant_add(tenant=shop.tenant, customer="cust_abc", amount=amount, kind=kind, **fields)


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def booked(account: str) -> Decimal:
    return sum((entry.amount for entry in LedgerEntry.objects.filter(account=account)), Decimal(0))


def test_one_wallet_a_currency(shop):
    first = wallet_open(tenant=shop.tenant, customer="cust_abc")
    assert wallet_open(tenant=shop.tenant, customer="cust_abc", currency="USD") == first
    assert wallet_open(tenant=shop.tenant, customer="cust_abc", currency="EUR") != first


def test_the_balance_is_what_counts_now_in_burn_order(shop):
    granted(shop, "50")
    granted(shop, "20", "PROMO", expires_at=NOON + timedelta(days=10))
    granted(shop, "5", "PROMO", expires_at=NOON + timedelta(days=5))
    granted(shop, "7", "BONUS", starts_at=NOON + timedelta(days=1))
    wallet = Wallet.objects.get()

    def at(days: int) -> tuple[list[Decimal], Decimal]:
        found = wallet_balance_at(wallet, NOON + timedelta(days=days))
        return [each.left for each in found.grants], found.balance

    # Soonest expiry first within PROMO; BONUS counts from the next day on.
    assert at(0) == ([5, 20, 0, 50], 75)
    assert at(1) == ([5, 20, 7, 50], 82)
    assert at(5) == ([0, 20, 7, 50], 77)
    assert at(10) == ([0, 0, 7, 50], 57)


def test_what_an_invoice_took_is_gone(shop):
    # 12.00 from PROMO 10.00 and CASH 50.00: 10.00 + 2.00, left 0 and 48.00.
    granted(shop, "50")
    granted(shop, "10", "PROMO")
    issued(a_subscription(shop.customer, a_fee("12"), mode="PREPAID"))

    found = wallet_balance_at(Wallet.objects.get(), datetime(2026, 4, 2, tzinfo=UTC))

    assert [each.left for each in found.grants] == [0, 48]
    # 60.00 owed to the customer, 12.00 of it used: the liability that the books show is the balance.
    assert -booked("wallet_liability") == found.balance == 48


def test_a_grant_is_booked_as_paid_in_or_given_away(shop):
    granted(shop, "50")
    granted(shop, "20", "PROMO")

    assert (booked("cash"), booked("discount"), booked("wallet_liability")) == (50, 20, -70)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0"},
        {"amount": "-5"},
        {"amount": "0.001"},
        {"amount": "NaN"},
        {"amount": "5", "kind": "LOAN"},
        {"amount": "5", "currency": "XXX"},
        {"amount": "5", "expires_at": NOON},
    ],
)
def test_what_is_no_grant_is_refused_and_nothing_is_booked(shop, fields):
    assert refused(granted, shop, **fields).code == "input_invalid"
    assert not WalletGrant.objects.exists()
    assert not LedgerEntry.objects.exists()


def test_another_tenants_customer_has_no_wallet_here(shop):
    other = workspaces.workspace("other")
    workspaces.customer(other.tenant, "theirs")

    assert refused(wallet_open, tenant=shop.tenant, customer="theirs").code == "not_found"
