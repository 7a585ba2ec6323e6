"""Subscriptions over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Offering, Subscription
from billing.services.catalog import offering_create
from tests import catalogs, workspaces

from .conftest import Api

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
NEW = {"code": "sub-1", "customer": "cust_abc", "offering": "standard"}


@pytest.fixture
def shop(api, acme) -> Api:
    """The client at noon of 15 March 2026, with the offering `standard`."""
    with clock_at(NOON):
        catalogs.on_sale(acme.tenant)
        yield api


def problem(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def test_a_subscription_is_made_read_and_listed(shop, acme):
    workspaces.customer(acme.tenant, "cust_in", timezone="Asia/Kolkata")
    made = shop.post("/v1/subscriptions", {**NEW, "customer": "cust_in", "starts_on": "2026-03-10"})
    assert made.status_code == 201, made.content
    assert made.json() == made.json() | {
        "code": "sub-1",
        "customer": "cust_in",
        "offering": "standard",
        "currency": "USD",
        "state": "ACTIVE",
        "starts_at": "2026-03-09T18:30:00Z",
        "ends_at": None,
        "interval": "month",
        "anchor_on": "2026-03-10",
        "items": [
            {
                "offering": "standard",
                "plan": "standard",
                "version": 1,
                "quantity": "1",
                "starts_at": "2026-03-09T18:30:00Z",
                "ends_at": None,
                "trial_ends_at": None,
            }
        ],
        "coupons": [],
    }
    assert [phase["after"] for phase in made.json()["phases"]] == ["ACTIVE"]
    assert shop.get("/v1/subscriptions/sub-1").json() == made.json()

    def codes(**query):
        return [row["code"] for row in shop.get("/v1/subscriptions", **query).json()["data"]]

    assert codes() == codes(customer="cust_in") == codes(state="ACTIVE", offering="standard") == ["sub-1"]
    assert codes(customer="cust_abc") == codes(state="PAUSED") == codes(offering="other") == []


def test_a_change_is_made_once_and_shown(shop):
    shop.post("/v1/subscriptions", {**NEW, "starts_on": "2026-03-01", "quantity": "2"})
    asked = {"quantity": "3", "at": "2026-03-16T00:00:00Z"}
    changed = shop.post("/v1/subscriptions/sub-1/change", asked)
    assert (changed.status_code, len(changed.json()["items"])) == (200, 2), changed.content
    assert shop.post("/v1/subscriptions/sub-1/change", asked).json() == changed.json()
    assert [(item["quantity"], item["starts_at"], item["ends_at"]) for item in changed.json()["items"]] == [
        ("2", "2026-03-01T00:00:00Z", "2026-03-16T00:00:00Z"),
        ("3", "2026-03-16T00:00:00Z", None),
    ]
    later = shop.post("/v1/subscriptions/sub-1/change", {"quantity": "9", "at_period_end": True}).json()
    assert [(item["quantity"], item["starts_at"]) for item in later["items"]] == [
        ("2", "2026-03-01T00:00:00Z"),
        ("3", "2026-03-16T00:00:00Z"),
        ("9", "2026-04-01T00:00:00Z"),
    ]
    # The last word counts: April's change is given up.
    last = shop.post("/v1/subscriptions/sub-1/change", {"quantity": "4", "at": "2026-03-16T00:00:00Z"}).json()
    assert [item["quantity"] for item in last["items"]] == ["2", "4"]
    for body, status, code in [
        ({"quantity": "-1"}, 422, "input_invalid"),
        ({"to_plan": "nothing"}, 422, "input_invalid"),
        ({"plan": "nothing"}, 422, "input_invalid"),
        ({"version": 7}, 404, "not_found"),
        ({"quantity": "1", "at": "2026-02-01T00:00:00Z"}, 409, "state_conflict"),
        ({"quantity": "1", "at": "2026-03-20T00:00:00Z", "at_period_end": True}, 422, "input_invalid"),
    ]:
        assert problem(shop.post("/v1/subscriptions/sub-1/change", body)) == (status, code), body


def test_an_add_on_comes_and_goes(shop, acme):
    charge = {**catalogs.BASE_FEE, "code": "support"}
    catalogs.published(acme.tenant, "support", charges=[charge])
    offering_create(tenant=acme.tenant, code="support", name="Support", plans=["support"], kind="ADDON")
    shop.post("/v1/subscriptions", NEW)
    added = shop.post("/v1/subscriptions/sub-1/add", {"offering": "support"})
    assert [item["offering"] for item in added.json()["items"]] == ["standard", "support"], added.content
    removed = shop.post("/v1/subscriptions/sub-1/remove", {"offering": "support", "at_period_end": True})
    assert (
        removed.json()["items"][1]["ends_at"]
        == shop.get("/v1/subscriptions/sub-1/periods").json()["data"][0]["cycle"]["end"]
    )
    assert problem(shop.post("/v1/subscriptions/sub-1/add", {"offering": "nothing"})) == (404, "not_found")


def test_what_is_due_at_the_start_is_an_invoice_of_its_own(shop):
    shop.post("/v1/subscriptions", {**NEW, "starts_on": "2026-03-10"})
    nothing = shop.post("/v1/subscriptions/sub-1/start-invoice")
    assert problem(nothing) == (409, "state_conflict")
    Offering.objects.update(setup_fee=5)
    shop.post("/v1/subscriptions", {**NEW, "code": "sub-2", "starts_on": "2026-03-10"})
    made = shop.post("/v1/subscriptions/sub-2/start-invoice").json()
    assert [(line["kind"], line["amount"]) for line in made["lines"]] == [("SETUP_FEE", "5.00")]
    again = shop.post("/v1/subscriptions/sub-2/start-invoice")
    assert again.json()["id"] == made["id"], again.content


def test_a_preview_says_what_a_change_does_and_keeps_nothing(shop, acme):
    shop.post("/v1/subscriptions", {**NEW, "starts_on": "2026-03-01"})
    before = shop.get("/v1/subscriptions/sub-1").json()

    def previewed(**body):
        return shop.post("/v1/subscriptions/sub-1/preview", body)

    # Cancelled on the 16th: 15 of 31 days of 49.09 are 23.753… -> 23.75.
    cancelled = previewed(cancel={"at": "2026-03-16T00:00:00Z"}).json()
    assert (cancelled["before"], cancelled["after"]) == ("49.09", "23.75")
    assert [(line["description"], line["before"], line["after"]) for line in cancelled["lines"]] == [
        ("Base fee (15 of 31 days)", "0.00", "23.75"),
        ("Base fee", "49.09", "0.00"),
    ]
    # Of the next period, where the change begins with it.
    later = previewed(change={"quantity": "2", "at_period_end": True}).json()
    assert (later["period"]["start"], later["before"], later["after"]) == (
        "2026-04-01T00:00:00Z",
        "49.09",
        "98.18",
    )
    assert previewed(move={"to": "PAUSED"}).status_code == 200
    assert shop.get("/v1/subscriptions/sub-1").json() == before
    assert problem(previewed()) == (422, "input_invalid")
    assert problem(previewed(add={"offering": "nothing"})) == (404, "not_found")
    assert problem(previewed(change={"quantity": "2"}, cancel={})) == (422, "input_invalid")


def test_moves_write_phases_and_illegal_ones_name_the_legal(shop):
    shop.post("/v1/subscriptions", NEW)
    moved = shop.post("/v1/subscriptions/sub-1/move", {"to": "PAUSED", "reason": "asked to"})
    assert (moved.status_code, moved.json()["state"]) == (200, "PAUSED")
    assert moved.json()["phases"][-1] == {
        "before": "ACTIVE",
        "after": "PAUSED",
        "reason": "asked to",
        "moved_at": "2026-03-15T12:00:00Z",
    }

    answer = shop.post("/v1/subscriptions/sub-1/move", {"to": "SUSPENDED"})
    assert problem(answer) == (409, "state_conflict")
    assert answer.json()["legal_moves"] == ["ACTIVE", "CANCELLED", "EXPIRED"]
    assert problem(shop.post("/v1/subscriptions/sub-1/move", {"to": "GONE"})) == (422, "input_invalid")
    future = {"to": "ACTIVE", "at": "2026-03-15T12:00:01Z"}
    assert problem(shop.post("/v1/subscriptions/sub-1/move", future)) == (422, "input_invalid")


def test_cancelling_names_an_instant(shop):
    shop.post("/v1/subscriptions", NEW)
    at = "2026-04-01T00:00:00Z"
    assert shop.post("/v1/subscriptions/sub-1/cancel", {"at": at}).json()["ends_at"] == at
    gone = shop.post("/v1/subscriptions/sub-1/cancel", {"reason": "moved away"}).json()
    assert (gone["state"], gone["ends_at"]) == ("CANCELLED", "2026-03-15T12:00:00Z")
    assert problem(shop.post("/v1/subscriptions/sub-1/cancel", {})) == (409, "state_conflict")
    assert problem(shop.post("/v1/subscriptions/sub-1/cancel", {"at": "soon"})) == (422, "input_invalid")
    naive = {"at": "2026-04-01T00:00:00"}
    assert problem(shop.post("/v1/subscriptions/sub-1/cancel", naive)) == (422, "input_invalid")


def periods(shop, code="sub-1", **query) -> list[tuple[str, str]]:
    """The billed parts, as days or instants."""
    data = shop.get(f"/v1/subscriptions/{code}/periods", **query).json()["data"]
    return [
        tuple(each["billed"][edge].replace("T00:00:00Z", "") for edge in ("start", "end")) for each in data
    ]


def test_the_anchors_day_is_clipped_and_does_not_drift(shop):
    shop.post("/v1/subscriptions", {**NEW, "starts_on": "2026-01-31"})

    assert periods(shop, limit=4) == [
        ("2026-01-31", "2026-02-28"),
        ("2026-02-28", "2026-03-31"),
        ("2026-03-31", "2026-04-30"),
        ("2026-04-30", "2026-05-31"),
    ]
    assert periods(shop, start="2026-03-15T00:00:00Z", limit=1) == [("2026-02-28", "2026-03-31")]
    assert len(periods(shop)) == 12


def test_the_first_and_the_last_period_are_cut_and_none_follow(shop):
    shop.post("/v1/subscriptions", {**NEW, "starts_at": "2026-01-10T06:00:00Z", "anchor_on": "2026-01-01"})
    shop.post("/v1/subscriptions/sub-1/cancel", {"at": "2026-03-10T18:00:00Z"})

    assert periods(shop) == [
        ("2026-01-10T06:00:00Z", "2026-02-01"),
        ("2026-02-01", "2026-03-01"),
        ("2026-03-01", "2026-03-10T18:00:00Z"),
    ]
    whole = shop.get("/v1/subscriptions/sub-1/periods").json()["data"][0]["cycle"]
    assert whole == {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    assert periods(shop, start="2027-01-01T00:00:00Z") == []


def test_months_are_cut_at_the_customers_midnight_across_daylight_saving(shop, acme):
    workspaces.customer(acme.tenant, "cust_ny", timezone="America/New_York")
    shop.post("/v1/subscriptions", {**NEW, "customer": "cust_ny", "starts_on": "2026-02-01"})

    # New York is 5 hours behind UTC until 8 March 2026, then 4.
    assert periods(shop, limit=2) == [
        ("2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"),
        ("2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"),
    ]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"code": None}, 422, "input_invalid"),
        ({"code": "two words"}, 422, "input_invalid"),
        ({"customer": "nobody"}, 404, "not_found"),
        ({"offering": "nothing"}, 404, "not_found"),
        ({"customer": "cust_eu"}, 422, "input_invalid"),
        ({"version": 2}, 404, "not_found"),
        ({"version": 0}, 422, "input_invalid"),
        ({"plan": "other"}, 422, "input_invalid"),
        ({"starts_on": "2026-02-30"}, 422, "input_invalid"),
        ({"starts_on": "0001-01-01"}, 422, "input_invalid"),
        ({"anchor_on": "9999-12-31"}, 422, "input_invalid"),
        ({"starts_at": "2026-03-01T00:00:00"}, 422, "input_invalid"),
        ({"starts_on": "2026-03-01", "starts_at": "2026-03-01T00:00:00Z"}, 422, "input_invalid"),
        ({"state": "ACTIVE"}, 422, "input_invalid"),
    ],
)
def test_wrong_subscriptions_are_a_problem_each(shop, acme, fields, status, code):
    workspaces.customer(acme.tenant, "cust_eu", currency="EUR")

    assert problem(shop.post("/v1/subscriptions", {**NEW, **fields})) == (status, code)
    assert not Subscription.objects.exists()


def test_a_subscription_is_sent_twice_under_one_key(shop):
    first = shop.post("/v1/subscriptions", NEW, Idempotency_Key="s-1")
    again = shop.post("/v1/subscriptions", NEW, Idempotency_Key="s-1")
    other = shop.post("/v1/subscriptions", {**NEW, "code": "sub-2"}, Idempotency_Key="s-1")

    assert first.content == again.content
    assert problem(other) == (409, "idempotency_reused")
    assert problem(shop.post("/v1/subscriptions", NEW)) == (409, "already_exists")
    assert Subscription.objects.count() == 1


def test_another_tenants_subscription_is_404(shop, other):
    catalogs.on_sale(other.tenant)
    catalogs.subscribed(other.tenant, "theirs")

    assert problem(shop.get("/v1/subscriptions/theirs")) == (404, "not_found")
    assert problem(shop.get("/v1/subscriptions/theirs/periods")) == (404, "not_found")
    assert problem(shop.post("/v1/subscriptions/theirs/move", {"to": "PAUSED"})) == (404, "not_found")
    assert problem(shop.post("/v1/subscriptions/theirs/cancel", {})) == (404, "not_found")
    assert shop.get("/v1/subscriptions").json()["data"] == []
    workspaces.customer(other.tenant, "cust_theirs")
    answer = shop.post("/v1/subscriptions", {**NEW, "customer": "cust_theirs"})
    assert problem(answer) == (404, "not_found")
    assert Api(other.key).get("/v1/subscriptions/theirs").json()["state"] == "ACTIVE"
