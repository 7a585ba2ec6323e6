"""Recurring grants: once a month, on the customer's own calendar, whatever runs twice or late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import LedgerEntry, Wallet, WalletGrant
from billing.selectors.wallets import wallet_balance_at
from billing.services.recurring_grants import recurring_grant_create, recurring_grant_end
from billing.services.wallet_upkeep import wallets_keep
from billing.services.wallets import wallet_open
from tests import workspaces

pytestmark = pytest.mark.django_db

JANUARY_31 = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    wallet_open(tenant=made.tenant, customer="cust_abc")
    return made


def of(shop) -> dict[str, object]:
    return {"tenant": shop.tenant, "wallet_id": Wallet.objects.get().pk}


def recurring(shop, at: datetime = JANUARY_31, **fields: object):
    with clock_at(at):
        return recurring_grant_create(
            **of(shop), **{"amount": "100", "starts_on": date(2026, 1, 31), **fields}
        )


def given() -> list[datetime]:
    return list(WalletGrant.objects.order_by("starts_at").values_list("starts_at", flat=True))


def balance(at: datetime) -> Decimal:
    return wallet_balance_at(Wallet.objects.get(), at).balance


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def test_each_month_is_given_once_and_expires_with_it(shop):
    # 100.00 from 31 January, on the last day of a shorter month, without drifting.
    recurring(shop)
    assert given() == [day(1, 31)]
    for at in (day(2, 28), day(2, 28), day(3, 31) - timedelta(microseconds=1), day(3, 31), day(3, 31)):
        wallets_keep(as_of=at)

    assert given() == [day(1, 31), day(2, 28), day(3, 31)]
    assert [balance(day(3, 31)), balance(day(4, 29)), balance(day(4, 30))] == [100, 100, 0]
    # Two months are over, and nothing of them was used.
    breakage = LedgerEntry.objects.filter(account="breakage").values_list("amount", flat=True)
    assert list(breakage) == [-100, -100]


def test_what_is_kept_adds_up_also_where_nobody_ran_for_months(shop):
    recurring(shop, is_kept=True)
    wallets_keep(as_of=day(4, 30))

    assert given() == [day(1, 31), day(2, 28), day(3, 31), day(4, 30)]
    assert balance(day(4, 30)) == 400


def test_a_month_that_is_over_is_given_to_nobody(shop):
    recurring(shop)
    wallets_keep(as_of=day(4, 30))

    assert given() == [day(1, 31), day(4, 30)]


def test_months_are_the_customers(shop):
    shop.customer.timezone = "Asia/Kolkata"
    shop.customer.save()
    recurring(shop)

    assert given() == [datetime(2026, 1, 30, 18, 30, tzinfo=UTC)]


def test_it_ends_on_its_day_and_what_was_given_stays(shop):
    made = recurring(shop, is_kept=True)
    with clock_at(JANUARY_31):
        ended = recurring_grant_end(**of(shop), recurring_id=made.pk, ends_on=date(2026, 3, 31))
    assert ended.next_at == day(2, 28)
    wallets_keep(as_of=day(12, 31))

    assert given() == [day(1, 31), day(2, 28)]


@pytest.mark.parametrize(
    "fields",
    [
        {"starts_on": date(2026, 1, 30)},
        {"amount": "0"},
        {"amount": "0.001"},
        {"kind": "CASH"},
        {"ends_on": date(2026, 1, 31)},
    ],
)
def test_what_does_not_recur_is_refused(shop, fields):
    with pytest.raises(Problem) as caught:
        recurring(shop, **fields)

    assert caught.value.code == "input_invalid"
    assert given() == []
