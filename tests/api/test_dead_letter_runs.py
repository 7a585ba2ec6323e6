"""Many dead letters over HTTP: what a run would do, its progress, and that it is one run however often it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.kernel.clock import clock_at
from metering.models import DeadLetter, DeadLetterRun, Event
from metering.services.dead_letter_runs import dead_letter_run_work
from tests.billing.builders import demo_subscription
from tests.console.workplace import billed
from tests.metering.rows import call, tally
from tests.workspaces import customer, meter

from .conftest import Api

MARCH = datetime(2026, 3, 15, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 10, 12, tzinfo=UTC)


@pytest.fixture
def three(api, stored):
    """Three dead letters: two of an unknown customer, one of an unknown metric."""
    events = [
        call("k1", customer_id="cust_new"),
        call("k2", customer_id="cust_new"),
        call("k3", metric="tokens"),
    ]
    api.post("/v1/events", events, X_Aforo_Source="sdk-go")
    stored()


def worked(acme, run):
    while not dead_letter_run_work(tenant=acme.tenant, run_id=run["id"]):
        pass


@pytest.mark.promise("P26", "P69")
def test_many_are_looked_at_replayed_and_watched(api, acme, three):
    asked = {"action": "REPLAY", "code": "customer_unknown"}
    assert api.post("/v1/dead-letter-runs/preview", asked).json() == {
        "count": 2,
        "looked_at": 2,
        "accepted": 0,
        "duplicates": 0,
        "refused": {"customer_unknown": 2},
        "left": 0,
        "touched": [],
    }
    customer(acme.tenant, "cust_new")
    assert api.post("/v1/dead-letter-runs/preview", asked).json()["accepted"] == 2
    assert not DeadLetterRun.objects.exists()
    assert not Event.objects.exists()

    started = api.post("/v1/dead-letter-runs", asked)
    assert (started.status_code, started.json()["status"], started.json()["total"]) == (202, "RUNNING", 2)
    worked(acme, started.json())

    run = api.get(started.headers["Location"]).json()
    assert (run["status"], run["done"], run["outcomes"]) == ("COMPLETED", 2, {"accepted": 2})
    assert [row["id"] for row in api.get("/v1/dead-letter-runs", status="COMPLETED").json()["data"]] == [
        run["id"]
    ]
    # A second run finds none of them.
    again = api.post("/v1/dead-letter-runs", asked).json()
    worked(acme, again)
    assert (again["total"], tally(acme)) == (0, {"received": 3, "accepted": 2, "dead_letters": 1})


def test_the_same_request_is_one_run(api, three):
    answers = [
        api.post("/v1/dead-letter-runs", {"action": "REPLAY", "all": True}, Idempotency_Key="r1").json()
        for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert DeadLetterRun.objects.count() == 1


def test_a_name_is_mapped(api, acme, three):
    asked = {"action": "REPLAY", "metric": "tokens", "metric_to": "api.call"}

    worked(acme, api.post("/v1/dead-letter-runs", asked).json())

    state = api.get("/v1/events/k3").json()
    assert (state["status"], state["event"]["metric"]) == ("stored", "api.call")
    letter = api.get(f"/v1/dead-letters/{state['refusals'][0]['dead_letter_id']}").json()
    assert letter["result"]["names"] == {"metric": "api.call"}
    assert letter["payload"]["metric"] == "tokens"


def test_many_are_discarded_and_a_run_is_stopped(api, acme, three):
    run = api.post(
        "/v1/dead-letter-runs", {"action": "DISCARD", "source": "sdk-go", "reason": "A test."}
    ).json()
    stopped = api.post(f"/v1/dead-letter-runs/{run['id']}/cancel")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "CANCELLED")
    worked(acme, run)
    assert DeadLetter.objects.filter(status="NEW").count() == 3
    assert api.post(f"/v1/dead-letter-runs/{run['id']}/cancel").status_code == 409

    worked(
        acme, api.post("/v1/dead-letter-runs", {"action": "DISCARD", "all": True, "reason": "A test."}).json()
    )

    assert {letter.status for letter in DeadLetter.objects.all()} == {"DISCARDED"}
    assert tally(acme) == {"received": 3, "dead_letters": 3}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"action": "REPLAY"}, "all"),
        ({"action": "REPLAY", "metric_to": "api.call"}, "all"),
        ({"action": "DISCARD", "all": True}, "reason"),
        ({"action": "MOVE", "all": True}, "action"),
        ({"action": "REPLAY", "ids": []}, "ids"),
        ({"action": "REPLAY", "status": "REPLAYED"}, "status"),
        ({"action": "REPLAY", "metric": "tokens", "metric_to": "none"}, "metric_to"),
        ({"action": "REPLAY", "all": True, "since": "2026-03-01"}, "since"),
        ({"action": "REPLAY", "start": "2026-03-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}, "end"),
    ],
)
def test_a_mistake_is_told_and_starts_nothing(api, three, asked, field):
    for address in ("/v1/dead-letter-runs", "/v1/dead-letter-runs/preview"):
        answer = api.post(address, asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid"), answer.json()
        assert field in answer.json()["errors"]
    assert not DeadLetterRun.objects.exists()


def test_another_tenants_letters_are_in_no_run(api, three, other):
    stranger = Api(other.key)

    assert (
        stranger.post("/v1/dead-letter-runs/preview", {"action": "REPLAY", "all": True}).json()["count"] == 0
    )


def test_the_preview_names_the_invoices_that_would_change(acme, api, stored):
    """March is invoiced, April open: of three held calls two belong to the one and one to the other."""
    subscription = demo_subscription(acme.tenant, "cust_buyer")
    buyer, metric = subscription.customer.external_id, "llm.input_tokens"
    invoice = billed(acme.tenant).items.get().invoice
    with clock_at(APRIL):
        times = ["2026-03-20T00:00:00Z", "2026-03-31T23:59:59Z", "2026-04-02T00:00:00Z"]
        for number, time in enumerate(times):
            event = call(f"k{number}", customer_id=buyer, metric="llm.input", timestamp=time)
            assert api.post("/v1/events", event).status_code == 422
        stored()
        asked = {"action": "REPLAY", "metric": "llm.input", "metric_to": metric}
        preview = api.post("/v1/dead-letter-runs/preview", asked).json()

    assert preview["accepted"] == 3
    assert [
        (one["customer_id"], one["start"], one["invoice"], one["events"]) for one in preview["touched"]
    ] == [
        (buyer, "2026-03-01T00:00:00Z", invoice.number, 2),
        (buyer, "2026-04-01T00:00:00Z", None, 1),
    ]


def test_letters_are_filtered_by_source(api, three):
    assert len(api.get("/v1/dead-letters", source="sdk-go").json()["data"]) == 3
    assert api.get("/v1/dead-letters", source="kong").json()["data"] == []


def test_a_meter_made_meanwhile_counts(api, acme, three):
    meter(acme.tenant, "tokens")
    run = api.post("/v1/dead-letter-runs", {"action": "REPLAY", "metric": "tokens"}).json()
    worked(acme, run)

    assert api.get("/v1/events/k3").json()["status"] == "stored"
