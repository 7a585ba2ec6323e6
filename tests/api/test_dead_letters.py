"""Dead letters over HTTP: what was refused is found, corrected, sent again or given up."""

import json
from datetime import timedelta

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.kernel.periods import instant_text
from metering.models import DeadLetter, Event
from tests.metering.rows import call, tally
from tests.workspaces import customer, meter

from .conftest import Api


@pytest.fixture
def letter(api, stored):
    """The id of the dead letter of an event of an unknown customer."""
    assert api.post("/v1/events", call("k1", customer_id="cust_new")).status_code == 422
    stored()
    (row,) = api.get("/v1/dead-letters").json()["data"]
    return row["id"]


def test_a_refused_event_is_found_with_its_reason_and_payload(api, acme, letter):
    row = api.get(f"/v1/dead-letters/{letter}").json()

    assert row["status"] == "NEW"
    assert row["code"] == "customer_unknown"
    assert row["detail"] == "There is no customer 'cust_new'."
    assert (row["idempotency_key"], row["customer_id"], row["metric"]) == ("k1", "cust_new", "api.call")
    assert row["payload"] == call("k1", customer_id="cust_new")
    assert row["attempts"] == 1
    for query, count in [
        ({"code": "customer_unknown"}, 1),
        ({"code": "metric_unknown"}, 0),
        ({"status": "NEW", "customer_id": "cust_new", "metric": "api.call"}, 1),
        ({"status": "REPLAYED"}, 0),
        ({"start": instant_text(now() + timedelta(hours=1))}, 0),
        ({"start": instant_text(now() - timedelta(hours=1)), "end": instant_text(now())}, 1),
    ]:
        assert len(api.get("/v1/dead-letters", **query).json()["data"]) == count, query


@pytest.mark.promise("P26", "P69")
def test_a_mapping_is_added_and_the_event_replayed_once(api, acme, letter):
    assert tally(acme) == {"received": 1, "dead_letters": 1}
    customer(acme.tenant, "cust_new")

    first = api.post(f"/v1/dead-letters/{letter}/replay", {})
    assert first.status_code == 200
    assert first.json()["status"] == "REPLAYED"
    assert first.json()["result"] == {"outcome": "accepted", "idempotency_key": "k1"}
    assert first.json()["attempts"] == 2
    assert tally(acme) == {"received": 1, "accepted": 1}

    second = api.post(f"/v1/dead-letters/{letter}/replay")
    assert second.json() == first.json()
    assert Event.objects.count() == 1
    state = api.get("/v1/events/k1").json()
    assert state["event"]["customer_id"] == "cust_new"
    assert [refusal["dead_letter_id"] for refusal in state["refusals"]] == [letter]


def test_a_replay_that_fails_again_stays_and_says_why(api, acme, letter):
    again = api.post(f"/v1/dead-letters/{letter}/replay").json()

    assert again["status"] == "NEW"
    assert again["attempts"] == 2
    assert again["result"]["outcome"] == "refused"
    assert again["result"]["code"] == "customer_unknown"
    assert tally(acme) == {"received": 1, "dead_letters": 1}
    assert DeadLetter.objects.count() == 1


def test_a_corrected_payload_is_stored_and_the_one_received_kept(api, acme, letter):
    corrected = call("k1", quantity="0.5", customer_id="cust_abc")

    row = api.post(f"/v1/dead-letters/{letter}/replay", {"payload": corrected}).json()

    assert row["status"] == "REPLAYED"
    assert json.loads(row["result"]["payload"]) == corrected
    assert api.get(f"/v1/dead-letters/{letter}").json()["payload"]["customer_id"] == "cust_new"
    assert api.get("/v1/events/k1").json()["event"]["quantity"] == "0.5"


def test_a_number_of_a_corrected_payload_is_exact(api, acme, letter):
    body = b'{"payload": {"idempotency_key": "k1", "customer_id": "cust_abc", "metric": "api.call", "quantity": 0.1000000000000000000001}}'

    assert api.post(f"/v1/dead-letters/{letter}/replay", body).json()["status"] == "REPLAYED"
    assert api.get("/v1/events/k1").json()["event"]["quantity"] == "0.1000000000000000000001"


@pytest.mark.promise("P23")
def test_what_was_stored_meanwhile_is_a_duplicate(api, acme, stored, letter):
    customer(acme.tenant, "cust_new")
    assert api.post("/v1/events", call("k1", customer_id="cust_new")).status_code == 202
    stored()

    row = api.post(f"/v1/dead-letters/{letter}/replay").json()

    assert row["status"] == "REPLAYED"
    assert row["result"]["outcome"] == "duplicate"
    assert tally(acme) == {"received": 2, "accepted": 1, "duplicates": 1}


def test_a_conflict_stays_a_dead_letter(api, acme, stored):
    api.post("/v1/events", call("k1", 1))
    stored()
    assert api.post("/v1/events", call("k1", 2)).status_code == 409
    stored()
    (row,) = api.get("/v1/dead-letters").json()["data"]
    assert row["code"] == "idempotency_conflict"

    again = api.post(f"/v1/dead-letters/{row['id']}/replay").json()

    assert again["status"] == "NEW"
    assert again["result"]["outcome"] == "conflict"
    assert api.get("/v1/events/k1").json()["event"]["quantity"] == "1"
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1}


@pytest.mark.promise("P24")
def test_an_event_of_the_future_is_judged_when_it_is_replayed(api, acme, stored):
    sent_at = now()
    at = instant_text(sent_at + timedelta(minutes=6))
    assert api.post("/v1/events", call("k1", timestamp=at)).json()["code"] == "timestamp_in_future"
    stored()
    (row,) = api.get("/v1/dead-letters").json()["data"]

    assert api.post(f"/v1/dead-letters/{row['id']}/replay").json()["status"] == "NEW"
    with clock_at(sent_at + timedelta(minutes=1, seconds=1)):
        assert api.post(f"/v1/dead-letters/{row['id']}/replay").json()["status"] == "REPLAYED"
    assert api.get("/v1/events/k1").json()["event"]["timestamp"] == at
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_an_event_that_was_in_time_stays_in_time(api, acme, stored, letter):
    customer(acme.tenant, "cust_new")

    with clock_at(now() + timedelta(days=200)):
        row = api.post(f"/v1/dead-letters/{letter}/replay").json()

    assert row["status"] == "REPLAYED"
    assert api.get("/v1/events/k1").json()["event"]["is_late"] is False


def test_a_discarded_event_stays_with_its_reason(api, acme, letter):
    row = api.post(f"/v1/dead-letters/{letter}/discard", {"reason": "A load test."}).json()
    assert (row["status"], row["reason"]) == ("DISCARDED", "A load test.")

    again = api.post(f"/v1/dead-letters/{letter}/discard", {"reason": "Another."}).json()
    assert again["reason"] == "A load test."
    replay = api.post(f"/v1/dead-letters/{letter}/replay")
    assert (replay.status_code, replay.json()["code"]) == (409, "state_conflict")
    assert tally(acme) == {"received": 1, "dead_letters": 1}


def test_a_replayed_event_cannot_be_discarded(api, acme, letter):
    customer(acme.tenant, "cust_new")
    api.post(f"/v1/dead-letters/{letter}/replay")

    assert api.post(f"/v1/dead-letters/{letter}/discard", {"reason": "x"}).status_code == 409


def test_a_body_that_was_no_json_is_replayed_as_one_event(api, acme, stored):
    broken = b'{"idempotency_key": "k1", "customer_id": "cust_abc", "metric": "api.call"'
    assert api.post("/v1/events", broken).status_code == 400
    stored()
    (row,) = api.get("/v1/dead-letters").json()["data"]
    address = f"/v1/dead-letters/{row['id']}"
    assert api.get(address).json()["payload"] == broken.decode()

    assert api.post(f"{address}/replay").json()["result"]["code"] == "body_unreadable"
    two = api.post(f"{address}/replay", {"payload": [call("k1"), call("k2")]})
    assert (two.status_code, two.json()["code"]) == (422, "input_invalid")
    assert api.post(f"{address}/replay", {"payload": call("k1")}).json()["status"] == "REPLAYED"
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_what_a_header_and_a_door_said_still_holds(api, acme, stored):
    body = [
        {"metricKey": "api.call", "tenantId": "cust_abc"},
        {"metricKey": "late.meter", "tenantId": "cust_abc", "quantity": 3},
    ]
    answer = api.post("/v1/meter", body, Idempotency_Key="header", X_Aforo_Source="sdk-go")
    assert answer.json()["rejected"] == 1
    stored()
    (row,) = api.get("/v1/dead-letters").json()["data"]
    meter(acme.tenant, "late.meter", "SUM")

    replayed = api.post(f"/v1/dead-letters/{row['id']}/replay").json()

    assert replayed["result"] == {"outcome": "accepted", "idempotency_key": "header:1"}
    event = api.get("/v1/events/header:1").json()["event"]
    assert (event["customer_id"], event["quantity"], event["source"]) == ("cust_abc", "3", "sdk-go")


def test_another_tenants_dead_letter_is_404(api, other, letter):
    theirs = Api(other.key)

    assert theirs.get("/v1/dead-letters").json()["data"] == []
    assert theirs.get(f"/v1/dead-letters/{letter}").status_code == 404
    assert theirs.post(f"/v1/dead-letters/{letter}/replay").status_code == 404
    assert theirs.post(f"/v1/dead-letters/{letter}/discard", {"reason": "x"}).status_code == 404
    assert api.get(f"/v1/dead-letters/{letter}").json()["status"] == "NEW"
    assert theirs.get("/v1/events/k1").status_code == 404


def test_pages_walk_through_all(api, stored):
    api.post("/v1/events", [call(f"k{number}", customer_id="nobody") for number in range(7)])
    stored()

    keys, address = [], "/v1/dead-letters?limit=3"
    while address:
        page = api.get(address).json()
        keys += [row["idempotency_key"] for row in page["data"]]
        address = page["next"]

    assert sorted(keys) == [f"k{number}" for number in range(7)]


def test_growth_is_told(api, acme, letter):
    assert api.get("/v1/dead-letters/growth").json() == {
        "is_alarm": False,
        "letters": 1,
        "share_percent": None,
        "letters_min": 100,
        "share_percent_min": "5.00",
    }
    api.patch("/v1/metering-profile", {"alert_letters_min": 1})
    told = api.get("/v1/dead-letters/growth").json()
    assert (told["is_alarm"], told["share_percent"]) == (True, "100.00")
