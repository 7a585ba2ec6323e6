import pytest

from aforo.kernel.errors import Problem
from billing.calculators.wallet import wallet


def grant(id, amount, kind, start="2026-01-01", expires=None, created="2026-01-01"):
    return {
        "id": id,
        "amount": amount,
        "kind": kind,
        "starts_at": f"{start}T00:00:00Z",
        "expires_at": f"{expires}T00:00:00Z" if expires else None,
        "created_at": f"{created}T00:00:00Z",
    }


def use(on, amount):
    return {"at": f"{on}T00:00:00Z", "amount": amount}


def ask(grants, uses, on="2026-12-31"):
    return wallet({"currency": "USD", "grants": grants, "uses": uses, "at": f"{on}T00:00:00Z"})


def test_given_money_goes_before_the_customers_own():
    answer = ask(
        [grant("cash", "50.00", "CASH"), grant("promo", "15.00", "PROMO")], [use("2026-02-01", "20.00")]
    )

    assert answer == {
        "balance": "45.00",
        "grants": [{"id": "cash", "balance": "45.00"}, {"id": "promo", "balance": "0.00"}],
        "uses": [
            {
                "taken": [{"id": "promo", "amount": "15.00"}, {"id": "cash", "amount": "5.00"}],
                "uncovered": "0.00",
            }
        ],
    }


def test_within_a_kind_the_soonest_expiry_then_the_oldest_goes_first():
    grants = [
        grant("open-old", "1", "BONUS", created="2026-01-01"),
        grant("late", "1", "BONUS", expires="2026-09-01"),
        grant("soon", "1", "BONUS", expires="2026-06-01"),
        grant("open-new", "1", "BONUS", created="2026-01-02"),
    ]

    answer = ask(grants, [use("2026-02-01", "4")])

    assert [part["id"] for part in answer["uses"][0]["taken"]] == ["soon", "late", "open-old", "open-new"]


def test_a_grant_counts_until_its_expiry_exclusively():
    grants = [grant("promo", "10", "PROMO", expires="2026-06-01")]

    answer = ask(grants, [use("2026-05-31", "4"), use("2026-06-01", "4")])

    assert answer["uses"][1] == {"taken": [], "uncovered": "4.00"}
    assert answer["balance"] == "0.00"


def test_uses_are_made_in_order_of_time_and_answered_as_asked():
    answer = ask([grant("cash", "5", "CASH")], [use("2026-03-02", "4"), use("2026-03-01", "3")])

    assert [row["uncovered"] for row in answer["uses"]] == ["2.00", "0.00"]


@pytest.mark.parametrize(
    "grants",
    [
        [grant("a", "-1", "CASH")],
        [grant("a", "1", "GIFT")],
        [grant("a", "1", "CASH"), grant("a", "1", "CASH")],
        [{"id": "a"}],
        {"id": "a"},
    ],
)
def test_wrong_grants_are_refused(grants):
    with pytest.raises(Problem):
        ask(grants, [])
