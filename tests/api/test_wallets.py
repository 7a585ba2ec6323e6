"""Holds, statement and taking back over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests import workspaces

from .conftest import Api
from .test_terms import problem


@pytest.fixture
def wallet(api, acme) -> str:
    """The address of a wallet with 30.00 CASH and 4.00 PROMO."""
    made = api.post("/v1/wallets", {"customer": "cust_abc"}).json()["id"]
    for grant in ({"amount": "30"}, {"amount": "4", "kind": "PROMO"}):
        api.post(f"/v1/wallets/{made}/grants", grant)
    return f"/v1/wallets/{made}"


def figures(api, wallet) -> dict[str, str]:
    read = api.get(wallet).json()
    return {name: read[name] for name in ("balance", "held", "available")}


def test_a_use_is_reserved_settled_and_read_in_the_statement(api, wallet):
    # 10.00 of 34.00 held, 5.00 used: PROMO 4.00 and CASH 1.00.
    held = api.post(f"{wallet}/holds", {"amount": "10", "reference": "job-1"})
    assert held.status_code == 201, held.content
    hold = held.json()
    assert (hold["status"], hold["amount"], hold["settled_amount"]) == ("PENDING", "10.00", "0.00")
    assert figures(api, wallet) == {"balance": "34.00", "held": "10.00", "available": "24.00"}

    settled = api.post(f"{wallet}/holds/{hold['id']}/settle", {"amount": "5"})
    assert settled.status_code == 200, settled.content
    assert api.get(f"{wallet}/holds/{hold['id']}").json() == settled.json()
    assert figures(api, wallet) == {"balance": "29.00", "held": "0.00", "available": "29.00"}

    rows = api.get(f"{wallet}/movements").json()["data"]
    assert [(row["kind"], row["grant_kind"], row["amount"], row["balance"]) for row in rows] == [
        ("HOLD", "CASH", "-1.00", "29.00"),
        ("HOLD", "PROMO", "-4.00", "30.00"),
        ("GRANT", "PROMO", "4.00", "34.00"),
        ("GRANT", "CASH", "30.00", "30.00"),
    ]
    assert {row["hold"] for row in rows} == {"job-1", None}
    only = api.get(f"{wallet}/movements", kind="HOLD", since=rows[0]["at"]).json()["data"]
    # The balance is the wallet's, whatever is left out of the list.
    assert [row["balance"] for row in only] == ["29.00", "30.00"]


def test_a_statement_comes_in_pages(api, wallet):
    first = api.get(f"{wallet}/movements", limit=1).json()
    second = Api._send(api, "get", first["next"], None, "application/json", {}).json()

    assert [page["data"][0]["balance"] for page in (first, second)] == ["34.00", "30.00"]
    assert second["next"] is None


def test_too_little_money_says_how_much_there_is(api, wallet):
    api.post(f"{wallet}/holds", {"amount": "30", "reference": "job-1"})
    refused = api.post(f"{wallet}/holds", {"amount": "5", "reference": "job-2"})

    assert problem(refused) == (402, "wallet_insufficient")
    assert (
        refused.json()["detail"] == "5.00 USD are asked for, and 4.00 are available: 34.00 less 30.00 held."
    )
    assert (refused.json()["asked"], refused.json()["available"]) == ("5.00", "4.00")


def test_holds_are_released_listed_and_filtered(api, wallet):
    for name in ("job-1", "job-2"):
        hold = api.post(f"{wallet}/holds", {"amount": "1", "reference": name}).json()
    released = api.post(f"{wallet}/holds/{hold['id']}/release").json()
    assert released["status"] == "RELEASED"

    def listed(**query: str) -> list[str]:
        return [row["reference"] for row in api.get(f"{wallet}/holds", **query).json()["data"]]

    assert listed() == ["job-1", "job-2"]
    assert listed(status="PENDING") == ["job-1"]
    assert listed(reference="job-2") == ["job-2"]
    assert problem(api.get(f"{wallet}/holds", status="GONE")) == (422, "input_invalid")
    assert problem(api.post(f"{wallet}/holds/{hold['id']}/settle", {})) == (409, "state_conflict")


def test_money_is_taken_back_with_a_reason(api, wallet):
    cash = next(row for row in api.get(wallet).json()["grants"] if row["kind"] == "CASH")
    address = f"{wallet}/grants/{cash['id']}/reduce"
    assert problem(api.post(address, {"amount": "5"})) == (422, "input_invalid")
    assert problem(api.post(address, {"amount": "30.01", "reason": "refund"})) == (422, "input_invalid")

    reduced = api.post(address, {"amount": "10", "reason": "refund"})

    assert (reduced.status_code, reduced.json()["left"]) == (200, "20.00")
    assert api.get(f"{wallet}/movements", kind="REDUCTION").json()["data"][0]["reason"] == "refund"


def test_a_hold_of_another_wallet_is_not_found(api, acme, wallet):
    workspaces.customer(acme.tenant, "cust_b")
    other = api.post("/v1/wallets", {"customer": "cust_b"}).json()["id"]
    hold = api.post(f"{wallet}/holds", {"amount": "1", "reference": "job-1"}).json()["id"]

    for address in (f"/v1/wallets/{other}/holds/{hold}", f"{wallet}/holds/{uuid4()}"):
        assert problem(api.get(address)) == (404, "not_found")
        assert problem(api.post(f"{address}/settle", {})) == (404, "not_found")


def test_a_rule_asks_for_a_top_up_which_a_payment_confirms(api, wallet):
    rule = {"threshold": "10", "amount": "50", "monthly_max": "100"}
    assert problem(api.get(f"{wallet}/top-up-rule")) == (404, "not_found")
    answer = api.put(f"{wallet}/top-up-rule", rule)
    assert answer.status_code == 200, answer.content
    assert api.get(f"{wallet}/top-up-rule").json() == answer.json()
    api.post(f"{wallet}/holds", {"amount": "30", "reference": "job-1"})

    (top_up,) = api.get(f"{wallet}/top-ups", status="PENDING").json()["data"]
    assert (top_up["amount"], top_up["is_automatic"]) == ("50.00", True)
    address = f"{wallet}/top-ups/{top_up['id']}"
    for _ in range(2):
        paid = api.post(f"{address}/confirm", {"payment_reference": "transfer-81"})
        assert (paid.status_code, paid.json()["status"]) == (200, "PAID")

    assert api.get(address).json() == paid.json()
    assert figures(api, wallet) == {"balance": "84.00", "held": "30.00", "available": "54.00"}
    other = api.post(f"{address}/confirm", {"payment_reference": "transfer-82"})
    assert problem(other) == (409, "state_conflict")


def test_a_top_up_by_hand_fails_with_a_reason(api, wallet):
    top_up = api.post(f"{wallet}/top-ups", {"amount": "5"}).json()
    assert problem(api.post(f"{wallet}/top-ups", {"amount": "6"})) == (409, "state_conflict")

    failed = api.post(f"{wallet}/top-ups/{top_up['id']}/fail", {"failure": "declined"}).json()

    assert (failed["status"], failed["failure"], failed["grant"]) == ("FAILED", "declined", None)


def test_a_grant_recurs_until_it_is_ended(api, wallet):
    made = api.post(f"{wallet}/recurring-grants", {"amount": "100", "starts_on": "2990-01-31"})
    assert made.status_code == 201, made.content
    assert (made.json()["months_given"], made.json()["next_at"]) == (0, "2990-01-31T00:00:00Z")
    ended = api.post(f"{wallet}/recurring-grants/{made.json()['id']}/end", {"ends_on": "2990-02-01"}).json()

    assert api.get(f"{wallet}/recurring-grants").json()["data"] == [ended]
    past = api.post(f"{wallet}/recurring-grants", {"amount": "100", "starts_on": "2020-01-01"})
    assert problem(past) == (422, "input_invalid")


def test_exchange_rates_are_recorded_by_day_and_listed(api):
    rate = {"base": "USD", "quote": "EUR", "on": "2026-03-31", "rate": "0.92"}
    assert api.put("/v1/exchange-rates", rate).json() == rate
    # Recorded again for the day: the later one counts.
    assert api.put("/v1/exchange-rates", {**rate, "rate": "0.93"}).json()["rate"] == "0.93"
    (listed,) = api.get("/v1/exchange-rates", base="USD", on="2026-03-31").json()["data"]
    assert listed["rate"] == "0.93"
    assert api.get("/v1/exchange-rates", quote="GBP").json()["data"] == []
    for wrong, said in (
        ({"rate": "0"}, "A rate is above zero"),
        ({"base": "EUR"}, "between two"),
        ({"on": "31"}, "on"),
    ):
        refused = api.put("/v1/exchange-rates", {**rate, **wrong})
        assert refused.status_code == 422, refused.content
        assert said in refused.content.decode()
