"""A wallet that many use at once: what is there is given once, and all of it can be had.

Balances that go below zero under concurrent debits, and credits that come twice, are what billing systems have lost money by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import LedgerEntry, Wallet, WalletGrant, WalletHold, WalletTopUp
from billing.selectors.wallets import wallet_balance_at
from billing.services.recurring_grants import recurring_grant_create
from billing.services.verification import ledger_verify
from billing.services.wallet_holds import hold_release, hold_settle, wallet_reserve
from billing.services.wallet_top_ups import (
    top_up_rule_set,
    wallet_top_up_confirm,
    wallet_top_up_request,
)
from billing.services.wallet_upkeep import wallets_keep
from billing.services.wallets import wallet_grant_add
from tests.workspaces import Workspace, workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop() -> Workspace:
    return workspace()


def at_once(calls: int, work: Callable[[int], Any], threads: int = 10) -> list[Any]:
    """What each call gives or is refused by; threads with connections of their own begin together."""
    start = threading.Barrier(threads)
    waiting = threading.local()

    def run(number: int) -> Any:
        if not hasattr(waiting, "over"):
            waiting.over = True
            start.wait(30)
        try:
            with clock_at(NOON):
                return work(number)
        except Problem as problem:
            return problem.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(calls)))


def funded(shop: Workspace, *amounts: str) -> Wallet:
    with clock_at(NOON):
        for amount in amounts:
            wallet_grant_add(tenant=shop.tenant, customer="cust_abc", amount=amount)
    return Wallet.objects.select_related("tenant").get()


def figures(wallet: Wallet) -> tuple[Decimal, Decimal]:
    """Balance and available."""
    found = wallet_balance_at(wallet, NOON)
    return found.balance, found.available


def liability() -> Decimal:
    return -sum((row.amount for row in LedgerEntry.objects.filter(account="wallet_liability")), Decimal(0))


def test_of_fifty_reservations_of_one_on_thirty_exactly_thirty_succeed(shop):
    wallet = funded(shop, "12.50", "17.50")

    def reserve(number: int) -> str:
        hold = wallet_reserve(tenant=shop.tenant, wallet_id=wallet.pk, amount="1", reference=f"use-{number}")
        return hold.status

    answers = at_once(50, reserve, threads=50)

    assert (answers.count("PENDING"), answers.count("wallet_insufficient")) == (30, 20)
    assert figures(wallet) == (30, 0)


def test_settled_and_released_by_many_the_balance_ends_at_the_arithmetic(shop):
    # 40 uses of 2.00 on 60.00, each set aside first: one in four is used in whole, one for 0.50, the others not at all.
    # Those who find nothing come again, so that all are served: 10 x 2.00 + 10 x 0.50 = 25.00, and 35.00 are left.
    wallet = funded(shop, *["10"] * 6)
    lowest = []

    def use(number: int) -> str:
        of = {"tenant": shop.tenant, "wallet_id": wallet.pk}
        while True:
            try:
                hold = wallet_reserve(**of, amount="2", reference=f"use-{number}")
                break
            except Problem as problem:
                if problem.code != "wallet_insufficient":
                    raise
        lowest.append(figures(wallet)[1])
        match number % 4:
            case 0:
                return hold_settle(**of, hold_id=hold.pk).status
            case 1:
                return hold_settle(**of, hold_id=hold.pk, amount=Decimal("0.5")).status
            case _:
                return hold_release(**of, hold_id=hold.pk).status

    answers = at_once(40, use)

    assert (answers.count("SETTLED"), answers.count("RELEASED")) == (20, 20)
    assert min(lowest) >= 0
    assert figures(wallet) == (35, 35)
    assert liability() == 35
    assert ledger_verify(shop.tenant) == []


def test_the_same_reservation_sent_by_many_is_one_hold(shop):
    wallet = funded(shop, "30")

    def reserve(_: int) -> Any:
        return wallet_reserve(tenant=shop.tenant, wallet_id=wallet.pk, amount="20", reference="use").pk

    assert len(set(at_once(8, reserve, threads=8))) == 1
    assert figures(wallet) == (30, 10)


def test_one_hold_settled_by_many_is_burned_once(shop):
    wallet = funded(shop, "30")
    with clock_at(NOON):
        hold = wallet_reserve(tenant=shop.tenant, wallet_id=wallet.pk, amount="20", reference="use")

    at_once(8, lambda _: hold_settle(tenant=shop.tenant, wallet_id=wallet.pk, hold_id=hold.pk), threads=8)

    assert figures(wallet) == (10, 10)
    assert WalletHold.objects.get().settled_amount == 20


def test_a_top_up_that_many_confirm_is_one_credit(shop):
    """Lago #3618: two webhooks within milliseconds, two credits."""
    wallet = funded(shop, "1")
    of = {"tenant": shop.tenant, "wallet_id": wallet.pk}
    top_up = wallet_top_up_request(**of, amount="50")

    def confirm(_: int) -> str:
        return wallet_top_up_confirm(**of, top_up_id=top_up.pk, payment_reference="pay-1").status

    assert at_once(8, confirm, threads=8) == ["PAID"] * 8
    assert figures(wallet)[0] == liability() == 51


def test_a_threshold_that_many_pass_asks_for_one_top_up(shop):
    wallet = funded(shop, "30")
    with clock_at(NOON):
        top_up_rule_set(tenant=shop.tenant, wallet_id=wallet.pk, threshold="25", amount="50")

    def reserve(number: int) -> Any:
        return wallet_reserve(tenant=shop.tenant, wallet_id=wallet.pk, amount="2", reference=f"use-{number}")

    at_once(8, reserve, threads=8)
    assert WalletTopUp.objects.count() == 1


def test_a_recurring_grant_that_many_give_is_given_once_and_the_next_month_again(shop):
    wallet = funded(shop, "1")
    with clock_at(NOON):
        recurring_grant_create(
            tenant=shop.tenant, wallet_id=wallet.pk, amount="100", starts_on=date(2026, 3, 2)
        )
    for month, given in ((3, 1), (4, 2)):
        at_once(8, lambda _, month=month: wallets_keep(as_of=datetime(2026, month, 2, tzinfo=UTC)), threads=8)
        assert WalletGrant.objects.filter(kind="PROMO").count() == given
    # March's is over, April's is there: 1.00 + 100.00 are owed.
    assert liability() == 101
