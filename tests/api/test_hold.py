"""Events that name something unknown are held where their tenant wants it, and counted once the name is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aforo.kernel.clock import clock_at
from metering.models import DeadLetter, Event
from metering.services.profiles import metering_profile_set
from metering.services.uploads import upload_read
from tests.metering.rows import call, tally
from tests.workspaces import customer, meter

from .conftest import BOTH_WAYS, Api

pytestmark = BOTH_WAYS
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def held(acme):
    """Unknown metrics are held; unknown customers are refused as ever."""
    return metering_profile_set(tenant=acme.tenant, holds_unknown_metrics=True)


def replayed(api: Api, key: str) -> dict:
    letter = DeadLetter.objects.get(idempotency_key=key)
    return api.post(f"/v1/dead-letters/{letter.pk}/replay").json()


def test_nothing_is_held_by_itself(api):
    assert api.get("/v1/metering-profile").json() == {
        "holds_unknown_metrics": False,
        "holds_unknown_customers": False,
        "alert_letters_min": 100,
        "alert_share_percent": "5.00",
    }
    assert api.post("/v1/events", call("k1", metric="tokens")).status_code == 422


def test_a_single_event_of_an_unknown_metric_is_answered_202_and_held(api, acme, stored):
    changed = api.patch("/v1/metering-profile", {"holds_unknown_metrics": True})
    assert changed.json()["holds_unknown_metrics"] is True

    answer = api.post("/v1/events", call("k1", metric="tokens"))

    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 0,
        "duplicates": 0,
        "rejected": 0,
        "failed": 0,
        "held": 1,
        "events": [
            {
                "index": 0,
                "idempotency_key": "k1",
                "status": "held",
                "code": "metric_unknown",
                "detail": "No meter listens to 'tokens'.",
                "facts": {"metric": "tokens"},
            }
        ],
    }
    stored()
    assert DeadLetter.objects.get().status == "HELD"
    # It counts among the dead letters, so that the sum stays what was received.
    assert tally(acme) == {"received": 1, "dead_letters": 1}
    state = api.get("/v1/events/k1").json()
    assert (state["status"], state["refusals"][0]["status"]) == ("held", "HELD")
    assert state["steps"][-1]["outcome"] == "held"
    # A customer nobody knows is refused as before.
    assert api.post("/v1/events", call("k2", customer_id="nobody")).status_code == 422


def test_in_a_batch_what_is_held_is_neither_accepted_nor_rejected(api, acme, held, stored):
    body = [
        call("k1"),
        call("k2", metric="tokens"),
        call("k3", customer_id="nobody"),
        call("k4", quantity="x"),
    ]

    answer = api.post("/v1/events", body).json()

    assert {name: answer[name] for name in ("accepted", "rejected", "failed", "held")} == {
        "accepted": 1,
        "rejected": 2,
        "failed": 2,
        "held": 1,
    }
    assert [row["status"] for row in answer["events"]] == ["held", "rejected", "rejected"]
    stored()
    assert tally(acme) == {"received": 4, "accepted": 1, "dead_letters": 3}


def test_what_is_wrong_by_itself_is_never_held(api, acme, held):
    metering_profile_set(tenant=acme.tenant, holds_unknown_customers=True)

    for event in (
        call("k1", metric="tokens", timestamp="2999-01-01T00:00:00Z"),
        call("k2", metric="tokens", quantity="much"),
        {"idempotency_key": "k3", "metric": "tokens"},
    ):
        assert api.post("/v1/events", event).status_code == 422, event
    assert api.post("/v1/events", call("k4", customer_id="nobody")).json()["held"] == 1
    # Strict or not: a gateway's batch holds, too.
    assert api.post("/v1/meter", {"tenantId": "nobody", "metricKey": "api.call"}).json()["held"] == 1


@pytest.mark.promise("P26", "P69")
def test_a_held_event_is_judged_at_its_receipt_once_its_meter_is_there(api, acme, held, stored):
    with clock_at(NOON):
        api.post("/v1/events", call("k1", metric="tokens"))
        stored()
    meter(acme.tenant, "tokens")

    # 100 days on, when an event of that time would be too old.
    with clock_at(NOON + timedelta(days=100)):
        first, second = replayed(api, "k1"), replayed(api, "k1")

    assert (first["status"], first["result"]["outcome"]) == ("REPLAYED", "accepted")
    assert second == first
    event = Event.objects.get()
    assert (event.occurred_at, event.is_late) == (NOON, False)
    assert tally(acme) == {"received": 1, "accepted": 1}
    assert api.get("/v1/events/k1").json()["status"] == "stored"


@pytest.mark.promise("P22", "P23")
def test_retries_of_a_held_event_count_once(api, acme, held, stored):
    """The four retries: with and without a timestamp, of the same and of another content."""
    with clock_at(NOON):
        api.post("/v1/events", call("k1", metric="tokens"))
    with clock_at(NOON + timedelta(hours=1)):
        # No time of its own: the same event again.
        api.post("/v1/events", call("k1", metric="tokens"))
        # With a time, which the first did not give: nothing to compare.
        api.post("/v1/events", call("k1", metric="tokens", timestamp="2026-03-15T12:00:00Z"))
        # Other content.
        api.post("/v1/events", call("k1", 2, metric="tokens"))
    stored()
    assert tally(acme) == {"received": 4, "dead_letters": 4}
    meter(acme.tenant, "tokens")

    ends = {}
    for letter in DeadLetter.objects.order_by("received_at", "pk"):
        row = api.post(f"/v1/dead-letters/{letter.pk}/replay").json()
        ends.setdefault(row["status"], []).append(row["result"]["outcome"])
    # And once more, sent by its sender.
    again = api.post("/v1/events", call("k1", metric="tokens")).json()

    assert ends == {"REPLAYED": ["accepted", "duplicate", "duplicate"], "NEW": ["conflict"]}
    assert again["duplicates"] == 1
    event = Event.objects.get()
    assert (event.quantity, event.occurred_at) == (1, NOON)
    stored()
    assert tally(acme) == {"received": 5, "accepted": 1, "duplicates": 3, "dead_letters": 1}


def test_times_that_differ_conflict_when_both_were_sent(api, acme, held, stored):
    with clock_at(NOON):
        for minute in (10, 11):
            api.post("/v1/events", call("k1", metric="tokens", timestamp=f"2026-03-15T10:{minute}:00Z"))
    stored()
    meter(acme.tenant, "tokens")

    ends = [
        api.post(f"/v1/dead-letters/{letter.pk}/replay").json()["result"]["outcome"]
        for letter in DeadLetter.objects.order_by("pk")
    ]

    assert ends == ["accepted", "conflict"]


def test_a_held_event_whose_name_is_still_unknown_stays_held(api, acme, held, stored):
    api.post("/v1/events", call("k1", metric="tokens"))
    stored()

    row = replayed(api, "k1")

    assert (row["status"], row["result"]["code"]) == ("HELD", "metric_unknown")
    assert tally(acme) == {"received": 1, "dead_letters": 1}


def test_a_held_event_can_be_given_up(api, acme, held, stored):
    api.post("/v1/events", call("k1", metric="tokens"))
    stored()
    letter = DeadLetter.objects.get()

    row = api.post(f"/v1/dead-letters/{letter.pk}/discard", {"reason": "A typo of a test."}).json()

    assert row["status"] == "DISCARDED"
    assert api.get("/v1/events/k1").json()["status"] == "refused"


def test_another_tenant_holds_nothing(acme, held, other):
    assert Api(other.key).post("/v1/events", call("k1", metric="tokens")).status_code == 422


def test_an_upload_says_what_of_it_is_held(api, acme, held, stored, settings, tmp_path):
    settings.UPLOAD_DIR = str(tmp_path)
    file = b"metric,customer_id\napi.call,cust_abc\ntokens,cust_abc\n"
    made = api.post("/v1/ingest/upload", file, content_type="text/csv").json()

    assert upload_read(tenant=acme.tenant, upload_id=made["id"])

    row = api.get(f"/v1/ingest/uploads/{made['id']}").json()
    assert (row["accepted"], row["rejected"], row["held"]) == (1, 0, 1)


def test_a_customer_made_a_moment_later_is_known(api, acme, stored):
    metering_profile_set(tenant=acme.tenant, holds_unknown_customers=True)
    api.post("/v1/events", call("k1", customer_id="cust_new"))
    stored()
    customer(acme.tenant, "cust_new")

    assert replayed(api, "k1")["status"] == "REPLAYED"
    assert api.post("/v1/events", call("k1", customer_id="cust_new")).json()["duplicates"] == 1
