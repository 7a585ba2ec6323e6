"""Top-ups: asked for when too little is available, one at a time, and credited once for one payment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import LedgerEntry, Wallet, WalletGrant, WalletTopUp
from billing.selectors.wallets import wallet_balance_at
from billing.services.wallet_holds import hold_settle, wallet_reserve
from billing.services.wallet_top_ups import (
    top_up_rule_set,
    wallet_top_up_confirm,
    wallet_top_up_fail,
    wallet_top_up_request,
)
from billing.services.wallet_upkeep import wallets_keep
from billing.services.wallets import wallet_grant_add
from tests import workspaces
from tests.billing.builders import APRIL_2, a_fee, a_subscription, issued

pytestmark = pytest.mark.django_db

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def shop() -> workspaces.Workspace:
    """With 30.00 in the wallet."""
    made = workspaces.workspace()
    with clock_at(NOON):
        wallet_grant_add(tenant=made.tenant, customer="cust_abc", amount="30")
    return made


def of(shop) -> dict[str, object]:
    return {"tenant": shop.tenant, "wallet_id": Wallet.objects.get().pk}


def rule(shop, at: datetime = NOON, **fields: object) -> None:
    with clock_at(at):
        top_up_rule_set(**of(shop), **{"threshold": "10", "amount": "50", **fields})


def use(shop, amount: str, at: datetime = NOON) -> None:
    with clock_at(at):
        hold = wallet_reserve(**of(shop), amount=amount, reference=f"{at}")
        hold_settle(**of(shop), hold_id=hold.pk)


def confirm(shop, top_up: WalletTopUp, payment: str = "pay-1", at: datetime = NOON) -> WalletTopUp:
    with clock_at(at):
        return wallet_top_up_confirm(**of(shop), top_up_id=top_up.pk, payment_reference=payment)


def fail(shop, top_up: WalletTopUp, at: datetime = NOON) -> WalletTopUp:
    with clock_at(at):
        return wallet_top_up_fail(**of(shop), top_up_id=top_up.pk, failure="The card was declined.")


def asked_for() -> list[tuple[str, Decimal, datetime]]:
    return list(WalletTopUp.objects.values_list("status", "amount", "requested_at"))


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def test_it_is_asked_for_below_the_threshold_and_not_at_it(shop):
    rule(shop)
    use(shop, "20")
    assert asked_for() == []

    use(shop, "0.01", at=NOON + HOUR)
    assert asked_for() == [("PENDING", 50, NOON + HOUR)]


def test_one_is_in_flight_whatever_else_is_used(shop):
    rule(shop)
    for hours in (1, 2, 3):
        use(shop, "8", at=NOON + hours * HOUR)
    wallets_keep(as_of=NOON + 9 * HOUR)

    assert asked_for() == [("PENDING", 50, NOON + 3 * HOUR)]
    use(shop, "1", at=NOON + 4 * HOUR)
    assert len(asked_for()) == 1


def test_a_hold_an_expiry_and_an_invoice_bring_it_about_too(shop):
    rule(shop)
    with clock_at(NOON):
        wallet_reserve(**of(shop), amount="25", reference="held", expires_at=NOON + HOUR)
    assert len(asked_for()) == 1
    fail(shop, WalletTopUp.objects.get())

    # 30.00 are available again; 25.00 more expire at 15:00 and take nothing below 10.00.
    with clock_at(NOON + 2 * HOUR):
        wallet_grant_add(tenant=shop.tenant, customer="cust_abc", amount="25", expires_at=NOON + 3 * HOUR)
    rule(shop, threshold="40", at=NOON + 2 * HOUR)
    wallets_keep(as_of=NOON + 3 * HOUR)
    assert len(asked_for()) == 2
    fail(shop, WalletTopUp.objects.last())

    rule(shop, at=NOON + 4 * HOUR)
    issued(a_subscription(shop.customer, a_fee("25"), mode="PREPAID"))
    assert asked_for()[2] == ("PENDING", 50, APRIL_2)


def test_inside_the_cool_off_nothing_is_asked_for_and_after_it_without_anybody_coming(shop):
    # Asked for at 13:00, failed at 13:10; cool-off 120 minutes: again at 15:00.
    rule(shop, cool_off_minutes=120)
    use(shop, "25", at=NOON + HOUR)
    fail(shop, WalletTopUp.objects.get(), at=NOON + HOUR + timedelta(minutes=10))
    for minutes in (61, 90, 179):
        wallets_keep(as_of=NOON + timedelta(minutes=minutes))
    use(shop, "1", at=NOON + 2 * HOUR)
    assert len(asked_for()) == 1

    wallets_keep(as_of=NOON + 3 * HOUR)
    wallets_keep(as_of=NOON + 3 * HOUR)
    assert [status for status, *_ in asked_for()] == ["FAILED", "PENDING"]


def test_no_more_than_the_months_maximum_is_asked_for(shop):
    # 120.00 a month hold two of 50.00; the third waits for April.
    rule(shop, cool_off_minutes=0, monthly_max="120")
    for hours in (1, 2, 3):
        at = NOON + hours * HOUR
        use(shop, str(wallet_balance_at(Wallet.objects.get(), at).available - 5), at=at)
        pending = WalletTopUp.objects.filter(status="PENDING").first()
        if pending:
            confirm(shop, pending, payment=f"pay-{hours}", at=at)
    assert [amount for _, amount, _ in asked_for()] == [50, 50]

    april = datetime(2026, 4, 1, tzinfo=UTC)
    wallets_keep(as_of=april - timedelta(microseconds=1))
    assert len(asked_for()) == 2
    wallets_keep(as_of=april)
    assert asked_for()[2] == ("PENDING", 50, april)


def test_a_rule_that_is_switched_off_asks_for_nothing(shop):
    rule(shop, is_active=False)
    use(shop, "25")

    assert asked_for() == []


def test_a_payment_is_one_grant_however_often_it_is_told(shop):
    rule(shop)
    use(shop, "25")
    top_up = WalletTopUp.objects.get()
    for _ in range(3):
        paid = confirm(shop, top_up)

    assert (paid.status, paid.grant.kind, paid.grant.amount) == ("PAID", "CASH", 50)
    assert WalletGrant.objects.count() == 2
    cash = LedgerEntry.objects.filter(account="cash").values_list("amount", flat=True)
    assert sorted(cash) == [30, 50]
    assert "pay-1" in refused(confirm, shop, top_up, payment="pay-2").detail
    assert refused(fail, shop, top_up).code == "state_conflict"


def test_one_payment_pays_one_top_up(shop):
    first = wallet_top_up_request(**of(shop), amount="10")
    confirm(shop, first)
    second = wallet_top_up_request(**of(shop), amount="10")

    assert refused(confirm, shop, second).code == "already_exists"
    assert WalletTopUp.objects.get(pk=second.pk).status == "PENDING"


def test_a_failed_one_says_why_and_is_paid_no_more(shop):
    top_up = wallet_top_up_request(**of(shop), amount="10")
    failed = fail(shop, top_up)

    assert (failed.status, failed.failure) == ("FAILED", "The card was declined.")
    assert fail(shop, top_up).failure == "The card was declined."
    assert refused(confirm, shop, top_up).code == "state_conflict"


def test_a_second_one_by_hand_waits_for_the_first(shop):
    wallet_top_up_request(**of(shop), amount="10")

    problem = refused(wallet_top_up_request, **of(shop), amount="20")
    assert problem.detail == "A top-up of 10.00 USD is pending; confirm or fail it first."


@pytest.mark.parametrize(
    "fields",
    [
        {"threshold": "0"},
        {"amount": "0.001"},
        {"monthly_max": "49.99"},
        {"cool_off_minutes": -1},
        {"amount": "NaN"},
    ],
)
def test_what_is_no_rule_is_refused(shop, fields):
    assert refused(rule, shop, **fields).code == "input_invalid"
