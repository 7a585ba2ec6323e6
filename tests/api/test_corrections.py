"""Corrections over HTTP: an event amended, voided, read back; usage before and after."""

from __future__ import annotations

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import instant_text
from metering.models import Correction
from tests.billing.builders import APRIL_2, a_subscription, issued
from tests.metering.rows import call
from tests.workspaces import customer, meter

from .conftest import Api

USAGE = {"customer_id": "cust_abc", "metric": "tokens", "start": "2026-03-15", "end": "2026-03-16"}


@pytest.fixture(autouse=True)
def _in_april():
    with clock_at(APRIL_2):
        yield


@pytest.fixture
def tokens(acme):
    return meter(acme.tenant, "tokens", "SUM", event_name="api.call", group_by=["model"])


@pytest.fixture
def sent(api, stored, tokens):
    """Two events: k1 of 1,000 and team/k 2 of 10, by two models."""
    events = [
        call("k1", 1000, timestamp="2026-03-15T11:30:00Z", model="m1"),
        call("team/k 2", 10, timestamp="2026-03-15T12:30:00Z", model="m2"),
    ]
    assert api.post("/v1/events", events).json()["accepted"] == 2
    stored()


def quantity(api, **options) -> str:
    return api.get("/v1/usage", **USAGE, **options).json()["quantity"]


def test_an_event_is_amended_and_read_back(api, sent):
    made = api.post("/v1/events/k1/amend", {"quantity": 900, "reason": "Counted twice by us."})

    assert made.status_code == 201
    correction = made.json()
    assert (correction["kind"], correction["idempotency_key"]) == ("AMEND", "k1")
    assert correction["before"] == {
        "customer_id": "cust_abc",
        "metric": "api.call",
        "properties": {"model": "m1"},
        "quantity": "1000",
        "timestamp": "2026-03-15T11:30:00Z",
    }
    assert correction["after"] == {**correction["before"], "quantity": "900"}
    assert correction["reason"] == "Counted twice by us."
    assert correction["created_at"] == instant_text(APRIL_2)
    assert correction["periods"] == []

    state = api.get("/v1/events/k1").json()
    assert (state["status"], state["event"]["quantity"], state["counting"]["quantity"]) == (
        "stored",
        "1000",
        "900",
    )
    assert [one["id"] for one in state["corrections"]] == [correction["id"]]
    assert state["steps"][-1] == {
        "step": "correct",
        "outcome": "amended",
        "detail": f"Amended at 2026-04-02T09:00:00Z by {correction['actor']}: Counted twice by us.",
    }
    listed = {event["idempotency_key"]: event["quantity"] for event in api.get("/v1/events").json()["data"]}
    assert listed == {"k1": "900", "team/k 2": "10"}


def test_usage_shows_before_and_after_by_group_and_window(api, sent):
    api.post("/v1/events/k1/amend", {"properties": {"model": "m2"}, "quantity": 1, "reason": "Wrong model."})
    api.post("/v1/events/team/k 2/void", {"reason": "A test."})

    assert (quantity(api), quantity(api, corrections="before"), quantity(api, corrections="after")) == (
        "1",
        "1010",
        "1",
    )
    for corrections, expected in (
        ("before", [("m1", "1000", ["1000", "0"]), ("m2", "10", ["0", "10"])]),
        ("after", [("m2", "1", ["1", "0"])]),
    ):
        asked = {**USAGE, "start": "2026-03-15T11:00:00Z", "end": "2026-03-15T13:00:00Z"}
        groups = api.get(
            "/v1/usage", **asked, window="hour", group_by="model", corrections=corrections
        ).json()["groups"]
        found = [
            (one["by"]["model"], one["quantity"], [window["quantity"] for window in one["windows"]])
            for one in groups
        ]
        assert found == expected, corrections
    refused = api.get("/v1/usage", **USAGE, corrections="never")
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["corrections"])


def test_a_void_is_one_void_and_ends_what_can_be_amended(api, sent):
    first = api.post("/v1/events/k1/void", {"reason": "A test."})
    again = api.post("/v1/events/k1/void", {"reason": "Again."})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["after"] is None
    state = api.get("/v1/events/k1").json()
    assert (state["status"], state["counting"], state["event"]["quantity"]) == ("stored", None, "1000")
    assert [step["outcome"] for step in state["steps"][-2:]] == ["not counted", "voided"]

    refused = api.post("/v1/events/k1/amend", {"quantity": 1, "reason": "Too late."})
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert "was voided" in refused.json()["detail"]
    # A sender's retry of the event itself changes nothing.
    retried = api.post("/v1/events", call("k1", 1000, timestamp="2026-03-15T11:30:00Z", model="m1"))
    assert retried.json()["duplicates"] == 1


def test_one_request_under_an_idempotency_key_is_one_correction(api, sent):
    body = {"quantity": 900, "reason": "Counted twice by us."}
    first = api.post("/v1/events/k1/amend", body, **{"Idempotency-Key": "a"})
    api.post("/v1/events/k1/amend", {"quantity": 800, "reason": "More."})

    again = api.post("/v1/events/k1/amend", body, **{"Idempotency-Key": "a"})

    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Correction.objects.count() == 2
    other = api.post("/v1/events/k1/amend", {**body, "quantity": 1}, **{"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_reused")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"quantity": 1}, "input_invalid", "reason"),
        ({"quantity": 1, "reason": ""}, "input_invalid", "reason"),
        ({"quantity": None, "reason": "x"}, "input_invalid", "quantity"),
        ({"amount": 1, "reason": "x"}, "input_invalid", "amount"),
        ({"reason": "x"}, "input_invalid", "quantity"),
        ({"quantity": [], "reason": "x"}, "field_invalid", "quantity"),
        ({"customer_id": 7, "reason": "x"}, "field_invalid", "customer_id"),
        ({"properties": "m2", "reason": "x"}, "field_invalid", "properties"),
        ({"timestamp": "2026-03-15T12:00:00", "reason": "x"}, "field_invalid", "timestamp"),
        ({"timestamp": 1e300, "reason": "x"}, "field_invalid", "timestamp"),
    ],
)
def test_what_an_amend_may_not_say_is_told_by_field(api, sent, body, code, field):
    refused = api.post("/v1/events/k1/amend", body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert list(refused.json()["errors"]) == [field]
    assert not Correction.objects.exists()


def test_corrections_are_listed_filtered_and_paged(api, sent, acme):
    customer(acme.tenant, "cust_two")
    api.post("/v1/events/k1/amend", {"quantity": 900, "reason": "One."})
    api.post("/v1/events/k1/amend", {"customer_id": "cust_two", "reason": "Two."})
    api.post("/v1/events/team/k 2/void", {"reason": "Three."})

    def reasons(**query) -> list[str]:
        return [one["reason"] for one in api.get("/v1/corrections", **query).json()["data"]]

    assert reasons() == ["Three.", "Two.", "One."]
    assert reasons(kind="VOID") == ["Three."]
    assert reasons(idempotency_key="k1") == ["Two.", "One."]
    assert reasons(customer_id="cust_two") == ["Two."]
    assert reasons(customer_id="cust_abc", metric="api.call") == ["Three.", "Two.", "One."]
    assert reasons(start="2026-04-02T09:00:00Z") == ["Three.", "Two.", "One."]
    assert reasons(end="2026-04-02T09:00:00Z") == []
    page = api.get("/v1/corrections", limit=2).json()
    assert [one["reason"] for one in page["data"]] == ["Three.", "Two."]
    assert page["next"]
    assert api.get("/v1/corrections", limits=2).status_code == 422
    one = page["data"][0]
    assert api.get(f"/v1/corrections/{one['id']}").json() == {**one, "periods": []}


def test_the_answer_names_the_invoice_that_the_event_was_billed_on(api, sent, acme, tokens):
    charge = {"code": "calls", "model": "PER_UNIT", "unit_price": "0.01", "meter": tokens}
    issued(a_subscription(acme.customer, charge))

    answer = api.post(
        "/v1/events/k1/amend", {"quantity": 900, "timestamp": "2026-04-01T08:00:00Z", "reason": "Later."}
    )

    assert answer.json()["periods"] == [
        {
            "subscription": "sub_1",
            "start": "2026-03-01T00:00:00Z",
            "end": "2026-04-01T00:00:00Z",
            "invoice": "INV-000001",
        },
        {
            "subscription": "sub_1",
            "start": "2026-04-01T00:00:00Z",
            "end": "2026-05-01T00:00:00Z",
            "invoice": None,
        },
    ]


def test_another_providers_event_and_an_unknown_one_are_not_found(api, sent, other):
    stranger = Api(other.key)
    for to, key in ((stranger, "k1"), (api, "k9")):
        for word in ("amend", "void"):
            refused = to.post(
                f"/v1/events/{key}/{word}",
                {"quantity": 1, "reason": "x"} if word == "amend" else {"reason": "x"},
            )
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert stranger.get("/v1/corrections").json()["data"] == []


def test_a_key_that_ends_like_the_address_is_a_key(api, stored):
    api.post("/v1/events", call("job/void", 3, timestamp="2026-03-15T11:30:00Z"))
    stored()
    assert api.get("/v1/events/job/void").json()["event"]["quantity"] == "3"
    assert api.post("/v1/events/job/void/void", {"reason": "A test."}).status_code == 201
