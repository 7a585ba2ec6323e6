"""Holds: set aside in burn order, settled in whole or in part, released or run out; never more than there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import LedgerEntry, Wallet, WalletBurn, WalletHold
from billing.selectors.wallets import wallet_balance_at
from billing.services.wallet_holds import hold_release, hold_settle, wallet_reserve
from billing.services.wallet_upkeep import wallets_keep
from billing.services.wallets import grant_reduce, wallet_grant_add
from tests import workspaces
from tests.billing.builders import APRIL_2, a_fee, a_subscription, issued

pytestmark = pytest.mark.django_db

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Purse:
    """A customer's wallet, used at instants that the test says."""

    def __init__(self) -> None:
        self.shop = workspaces.workspace()
        self.tenant = self.shop.tenant
        self.named: dict[str, WalletHold] = {}

    @property
    def wallet(self) -> Wallet:
        return Wallet.objects.get()

    def grant(self, amount: str, kind: str = "CASH", at: datetime = NOON, **fields: object):
        with clock_at(at):
            return wallet_grant_add(
                tenant=self.tenant, customer="cust_abc", amount=amount, kind=kind, **fields
            )

    def reserve(
        self, amount: str, reference: str = "use", at: datetime = NOON, **fields: object
    ) -> WalletHold:
        with clock_at(at):
            self.named[reference] = wallet_reserve(
                tenant=self.tenant, wallet_id=self.wallet.pk, amount=amount, reference=reference, **fields
            )
        return self.named[reference]

    def settle(self, amount: str | None = None, reference: str = "use", at: datetime = NOON) -> WalletHold:
        with clock_at(at):
            return hold_settle(
                tenant=self.tenant,
                wallet_id=self.wallet.pk,
                hold_id=self.named[reference].pk,
                amount=None if amount is None else D(amount),
            )

    def release(self, reference: str = "use", at: datetime = NOON) -> WalletHold:
        with clock_at(at):
            return hold_release(
                tenant=self.tenant, wallet_id=self.wallet.pk, hold_id=self.named[reference].pk
            )

    def figures(self, at: datetime = NOON) -> tuple[Decimal, Decimal, Decimal]:
        """Balance, held, available."""
        found = wallet_balance_at(self.wallet, at)
        return found.balance, found.held, found.available

    def burned(self) -> list[tuple[str, str, Decimal]]:
        rows = WalletBurn.objects.select_related("grant").order_by("burned_at", "id")
        return [(row.kind, row.grant.kind, row.amount) for row in rows]


@pytest.fixture
def purse() -> Purse:
    return Purse()


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def booked(account: str) -> Decimal:
    return sum((entry.amount for entry in LedgerEntry.objects.filter(account=account)), D(0))


def test_what_is_held_is_not_available_and_still_there(purse):
    purse.grant("30")
    purse.reserve("10")

    assert purse.figures() == (30, 10, 20)


def test_no_more_is_held_than_is_available(purse):
    purse.grant("30")
    purse.reserve("25", "first")

    problem = refused(purse.reserve, "5.01", "second")

    assert problem.code == "wallet_insufficient"
    assert problem.facts == {
        "asked": "5.01",
        "available": "5.00",
        "balance": "30.00",
        "held": "25.00",
        "currency": "USD",
    }
    assert WalletHold.objects.count() == 1
    assert purse.reserve("5.00", "third").status == "PENDING"


def test_a_settled_part_is_burned_in_order_and_the_rest_is_free(purse):
    # 10.00 held of PROMO 4.00 and CASH 6.00 of 50.00; 5.00 used: PROMO 4.00 and CASH 1.00, so 49.00 are left.
    purse.grant("50")
    purse.grant("4", "PROMO")
    purse.reserve("10")
    settled = purse.settle("5")

    assert (settled.status, settled.settled_amount) == ("SETTLED", 5)
    assert purse.burned() == [("HOLD", "PROMO", 4), ("HOLD", "CASH", 1)]
    assert purse.figures() == (49, 0, 49)
    assert (booked("revenue"), booked("wallet_liability")) == (-5, -49)


def test_settling_or_releasing_twice_is_doing_it_once(purse):
    purse.grant("30")
    purse.reserve("10", "a")
    purse.reserve("10", "b")
    for _ in range(2):
        purse.settle("7", "a")
        purse.release("b")

    assert purse.burned() == [("HOLD", "CASH", 7)]
    assert purse.figures() == (23, 0, 23)


def test_an_ended_hold_ends_no_other_way(purse):
    purse.grant("30")
    for name in ("a", "b"):
        purse.reserve("10", name)
    purse.settle("7", "a")
    purse.release("b")

    assert refused(purse.settle, "8", "a").detail == "The hold 'a' is settled for 7.00."
    assert refused(purse.release, "a").code == "state_conflict"
    assert refused(purse.settle, None, "b").detail == (
        "The hold 'b' is RELEASED since 2026-03-01T12:00:00Z and holds nothing; reserve again."
    )


def test_the_same_reference_is_the_same_hold(purse):
    purse.grant("30")
    first = purse.reserve("10")

    assert purse.reserve("10.00") == first
    assert refused(purse.reserve, "11").code == "idempotency_reused"
    assert purse.figures() == (30, 10, 20)


def test_a_hold_runs_out_at_its_instant_whether_or_not_anybody_looked(purse):
    purse.grant("30")
    purse.reserve("10", expires_at=NOON + HOUR)

    before = NOON + HOUR - timedelta(microseconds=1)
    assert purse.figures(before) == (30, 10, 20)
    assert purse.figures(NOON + HOUR) == (30, 0, 30)
    assert refused(purse.settle, None, at=NOON + HOUR).code == "state_conflict"

    assert wallets_keep(as_of=NOON + 3 * HOUR) == 1
    hold = WalletHold.objects.get()
    assert (hold.status, hold.closed_at) == ("EXPIRED", NOON + HOUR)
    # Nothing is left to do.
    assert wallets_keep(as_of=NOON + 3 * HOUR) == 0


def test_an_invoice_takes_what_is_not_held(purse):
    # 50.00, of which 20.00 are held: 30.00 of 100.00 come from the wallet.
    purse.grant("50")
    purse.reserve("20", expires_at=APRIL_2 + HOUR)
    invoice = issued(a_subscription(purse.shop.customer, a_fee(), mode="HYBRID"))

    assert (invoice.wallet_amount, invoice.due_amount) == (30, 70)
    assert purse.settle(at=APRIL_2).settled_amount == 20
    assert purse.figures(APRIL_2) == (0, 0, 0)


# --- expiry


def test_what_is_left_of_an_expired_grant_is_breakage_once(purse):
    # 20.00 PROMO, 12.00 used, 8.00 lost; the books follow the grant's own instant.
    purse.grant("20", "PROMO", expires_at=NOON + HOUR)
    purse.reserve("12")
    purse.settle()

    for _ in range(2):
        wallets_keep(as_of=NOON + 5 * HOUR)

    assert purse.burned() == [("HOLD", "PROMO", 12), ("EXPIRY", "PROMO", 8)]
    assert (booked("breakage"), booked("wallet_liability")) == (-8, 0)
    assert WalletBurn.objects.get(kind="EXPIRY").burned_at == NOON + HOUR
    assert LedgerEntry.objects.filter(account="breakage").get().transaction.booked_at == NOON + HOUR


def test_what_is_held_outlives_its_grant_and_what_is_let_go_of_then_expires(purse):
    # 20.00 expire at 13:00 while 12.00 are held: 8.00 are lost. 5.00 are used at 14:00, and 7.00 are lost then.
    purse.grant("20", "PROMO", expires_at=NOON + HOUR)
    purse.reserve("12", expires_at=NOON + 3 * HOUR)
    wallets_keep(as_of=NOON + HOUR)
    assert purse.figures(NOON + HOUR) == (12, 12, 0)

    purse.settle("5", at=NOON + 2 * HOUR)

    assert purse.burned() == [("EXPIRY", "PROMO", 8), ("HOLD", "PROMO", 5), ("EXPIRY", "PROMO", 7)]
    assert purse.figures(NOON + 2 * HOUR) == (0, 0, 0)
    assert booked("wallet_liability") == 0
    assert wallets_keep(as_of=NOON + 5 * HOUR) == 0


def test_a_hold_that_ran_out_after_its_grant_lets_go_at_its_own_instant(purse):
    purse.grant("20", "PROMO", expires_at=NOON + HOUR)
    purse.reserve("12", expires_at=NOON + 2 * HOUR)
    wallets_keep(as_of=NOON + HOUR)
    wallets_keep(as_of=NOON + 9 * HOUR)

    lost = WalletBurn.objects.filter(kind="EXPIRY").values_list("amount", "burned_at")
    assert set(lost) == {(8, NOON + HOUR), (12, NOON + 2 * HOUR)}


# --- taking back


def test_no_more_is_taken_back_than_is_neither_burned_nor_held(purse):
    # 50.00, 12.00 used, 5.00 held: 33.00 can be taken back.
    grant = purse.grant("50")
    purse.reserve("12", "used")
    purse.settle(reference="used")
    purse.reserve("5", "held")

    def reduce(amount: str | None = None):
        with clock_at(NOON):
            return grant_reduce(
                tenant=purse.tenant,
                wallet_id=purse.wallet.pk,
                grant_id=grant.pk,
                reason="refund",
                amount=None if amount is None else D(amount),
            )

    assert refused(reduce, "33.01").detail == "amount is 33.01; 33.00 can be taken back."
    assert reduce("3").left == 35
    assert reduce().left == 5
    assert refused(reduce).code == "state_conflict"
    # In 50.00, back 33.00; earned 12.00, owed 5.00.
    assert (booked("cash"), booked("revenue"), booked("wallet_liability")) == (17, -12, -5)


def test_a_gift_taken_back_is_no_discount_any_more(purse):
    grant = purse.grant("20", "BONUS")
    with clock_at(NOON):
        grant_reduce(tenant=purse.tenant, wallet_id=purse.wallet.pk, grant_id=grant.pk, reason="mistake")

    assert (booked("discount"), booked("wallet_liability")) == (0, 0)


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "", "1e40"])
def test_what_is_no_amount_is_not_held(purse, amount):
    purse.grant("30")

    assert refused(purse.reserve, amount).code == "input_invalid"


def test_a_hold_in_the_past_is_refused(purse):
    purse.grant("30")

    assert refused(purse.reserve, "1", expires_at=NOON).detail == "A hold expires in the future."


def test_another_tenants_wallet_holds_nothing_here(purse):
    purse.grant("30")
    other = workspaces.workspace("other")

    problem = refused(
        wallet_reserve, tenant=other.tenant, wallet_id=purse.wallet.pk, amount="1", reference="use"
    )
    assert problem.code == "not_found"
