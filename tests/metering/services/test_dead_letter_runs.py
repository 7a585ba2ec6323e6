"""Runs over dead letters: what they would do, what they do, and that no death makes them do it twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter
from uuid import uuid4

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from metering.batch import store
from metering.models import DeadLetter, DeadLetterRun, Event
from metering.services import dead_letter_runs as runs
from metering.services.dead_letters import dead_letter_replay
from metering.services.profiles import metering_profile_set
from metering.tasks import held_letters_replay
from tests.metering.rows import call, submission, tally
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def acme():
    return workspace()


@pytest.fixture(autouse=True)
def _noon():
    with clock_at(NOON):
        yield


def planned(acme, action="REPLAY", **asked):
    return runs.dead_letter_run_plan(tenant=acme.tenant, action=action, actor="ada", **asked)


def worked(acme, run):
    """The run, gone through to its end."""
    runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk, is_queued=False)
    while not runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk, steps_max=1):
        pass
    run.refresh_from_db()
    return run


def statuses():
    return sorted(DeadLetter.objects.values_list("idempotency_key", "status"))


def test_a_preview_says_what_the_run_then_does(acme):
    store([submission(acme, call("k1", metric="tokens", customer_id="cust_abc"))])
    meter(acme.tenant, "tokens")
    # k1 is stored by then, and k1 with 2 is another event; k2 comes twice; k5 will be refused again.
    store([submission(acme, call("k1", metric="tokens"))])
    store(
        [
            submission(
                acme,
                [
                    call("k1", 2, customer_id="cust_new"),
                    call("k2", customer_id="cust_new"),
                    call("k2", customer_id="cust_new"),
                    call("k3", customer_id="cust_new"),
                    call("k5", customer_id="cust_gone"),
                ],
            ),
            submission(acme, b"[", intake_id=1),
        ]
    )
    customer(acme.tenant, "cust_new")
    before = tally(acme)

    run = planned(acme)
    preview = runs.dead_letter_run_preview(run)

    # The letter of k1 itself, as tokens, is a duplicate of what its sender sent again.
    assert (preview.count, preview.looked_at, preview.accepted, preview.duplicates) == (7, 7, 2, 2)
    assert preview.refused == {"idempotency_conflict": 1, "customer_unknown": 1, "body_unreadable": 1}
    assert tally(acme) == before
    assert Event.objects.count() == 1

    done = worked(acme, run)
    assert done.outcomes == {"accepted": 2, "duplicate": 2, "conflict": 1, "refused": 2}
    assert (done.status, done.done, done.total) == ("COMPLETED", 7, 7)
    assert tally(acme) == {"received": 8, "accepted": 3, "duplicates": 2, "dead_letters": 3}


def test_a_name_is_mapped_to_one_that_is_known(acme):
    metering_profile_set(tenant=acme.tenant, holds_unknown_metrics=True)
    cloud_event = {
        "specversion": "1.0",
        "id": "k2",
        "source": "/gw",
        "type": "api.cal",
        "subject": "cust_abc",
        "data": {"quantity": 0.5},
    }
    foreign = {"n": 3, "who": "cust_abc", "kind": "api.cal", "id": "k4"}
    mapping = {"metric": "kind", "customer_id": "who", "quantity": "n", "idempotency_key": "id"}
    store(
        [
            submission(acme, {"id": "k1", "metric": None, "event": "api.cal", "customerId": "cust_abc"}),
            submission(acme, cloud_event, content_type="application/cloudevents+json"),
            submission(acme, {"id": "k3", "metricKey": "api.cal", "tenantId": "cust_abc"}, door="meter"),
            submission(acme, foreign, door="webhook", mapping=mapping),
            submission(acme, call("k5", metric="api.cal", customer_id="cust_abc", event="kept")),
        ]
    )
    assert tally(acme) == {"received": 5, "dead_letters": 5}

    run = planned(acme, status="HELD", metric="api.cal", metric_to="api.call")
    assert runs.dead_letter_run_preview(run).accepted == 5
    worked(acme, run)

    stored = {event.key: (event.quantity, event.properties) for event in Event.objects.all()}
    # What stands beside the metric under another of its names stays a property.
    assert stored == {
        "k1": (1, {}),
        "k2": (0.5, {}),
        "k3": (1, {}),
        "k4": (3, {}),
        "k5": (1, {"event": "kept"}),
    }
    letter = DeadLetter.objects.get(idempotency_key="k1")
    assert (letter.status, letter.metric) == ("REPLAYED", "api.cal")
    assert letter.result == {"outcome": "accepted", "idempotency_key": "k1", "names": {"metric": "api.call"}}
    # Its sender corrects the name and sends it again: the same event.
    ((outcome,),) = store([submission(acme, {"id": "k1", "metric": "api.call", "customerId": "cust_abc"})])
    assert outcome.verdict == "duplicate"


def test_a_customer_is_mapped_wherever_its_name_stands(acme):
    cloud_event = {"specversion": "1.0", "id": "k1", "source": "/gw", "type": "api.call", "subject": "old"}
    compound = {"correlationId": "k2", "customerId": "old", "measurements": [{"metricName": "api.call"}]}
    store(
        [
            submission(acme, cloud_event, content_type="application/cloudevents+json"),
            submission(acme, compound, door="compound"),
            submission(acme, {"id": "k3", "metricKey": "api.call", "tenantId": "old"}, door="meter"),
            submission(acme, {"metric": "api.call", "customer_id": "old"}, idempotency_header="k4"),
        ]
    )

    run = worked(acme, planned(acme, customer_id="old", customer_to="cust_abc"))

    assert run.outcomes == {"accepted": 4}
    assert sorted(Event.objects.values_list("key", flat=True)) == ["k1", "k2:api.call", "k3", "k4"]
    assert not any("tenantId" in event.properties for event in Event.objects.all())


def test_a_name_stands_for_one_name_that_is_known(acme):
    store([submission(acme, [call("k1", metric="a"), call("k2", metric="b"), call("k3", customer_id="c")])])

    for asked, sentence in [
        ({"metric": "a", "metric_to": "nothing"}, "metric_to is unknown: no meter listens to 'nothing'."),
        ({"customer_id": "c", "customer_to": "x"}, "customer_to is unknown: there is no customer 'x'."),
        (
            {"code": "metric_unknown", "metric_to": "api.call"},
            "metric_to stands for one name; the letters name 'a', 'b' and perhaps more.",
        ),
        ({"metric": "a", "metric_to": "api.call", "action": "DISCARD"}, "metric_to is for a replay."),
    ]:
        with pytest.raises(Problem) as caught:
            planned(acme, **asked)
        assert caught.value.detail == sentence
    assert not DeadLetterRun.objects.exists()


def test_what_is_filed_later_is_another_runs(acme):
    store([submission(acme, call("k1", metric="tokens"))])
    run = planned(acme, metric="tokens")
    store([submission(acme, call("k2", metric="tokens"))])
    meter(acme.tenant, "tokens")

    assert worked(acme, run).outcomes == {"accepted": 1}
    assert statuses() == [("k1", "REPLAYED"), ("k2", "NEW")]


def test_filters_narrow_what_a_run_is_about(acme):
    with clock_at(NOON - timedelta(days=1)):
        store([submission(acme, call("old", metric="tokens"))])
    store([submission(acme, [call("kong", metric="tokens", source="kong"), call("k2", metric="other")])])
    first = DeadLetter.objects.get(idempotency_key="k2")

    for filters, count in [
        ({}, 3),
        ({"source": "kong"}, 1),
        ({"metric": "tokens"}, 2),
        ({"start": NOON}, 2),
        ({"end": NOON, "code": "metric_unknown"}, 1),
        ({"status": "HELD"}, 0),
        ({"ids": [first.pk, uuid4()]}, 1),
    ]:
        assert planned(acme, **filters).total == count, filters


@pytest.mark.promise("P26", "P69")
def test_a_run_killed_between_steps_goes_on_where_it_was(acme, monkeypatch):
    monkeypatch.setattr(runs, "LETTERS_A_STEP", 3)
    store([submission(acme, [call(f"k{number}", metric="tokens") for number in range(8)])])
    meter(acme.tenant, "tokens")
    run = planned(acme, metric="tokens")
    runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk, is_queued=False)

    assert not runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk, steps_max=1)
    run.refresh_from_db()
    assert (run.done, run.outcomes) == (3, {"accepted": 3})
    # Somebody replays one of the rest by hand meanwhile; the worker dies, and beat finds the run standing still.
    letter = DeadLetter.objects.get(idempotency_key="k5")
    dead_letter_replay(tenant=acme.tenant, letter_id=letter.pk, actor="ada")
    queued = []
    monkeypatch.setattr(runs, "dead_letter_run_queue", lambda **asked: queued.append(asked["run_id"]))
    with clock_at(NOON + timedelta(minutes=1)):
        assert runs.dead_letter_runs_resume() == 1
    assert queued == [run.pk]

    assert runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)
    # And once more, by a task that came twice.
    assert runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)

    run.refresh_from_db()
    assert (run.status, run.done, run.outcomes) == ("COMPLETED", 7, {"accepted": 7})
    assert tally(acme) == {"received": 8, "accepted": 8}
    assert Event.objects.count() == 8


def test_a_step_that_fails_moves_nothing(acme, monkeypatch):
    store([submission(acme, call("k1", metric="tokens"))])
    meter(acme.tenant, "tokens")
    run = planned(acme)
    runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk, is_queued=False)

    def dies(*args, **kwargs):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(runs, "now", dies)
        with pytest.raises(ZeroDivisionError):
            runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)

    assert statuses() == [("k1", "NEW")]
    assert tally(acme) == {"received": 1, "dead_letters": 1}
    assert runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_a_run_that_is_cancelled_leaves_the_rest(acme, monkeypatch):
    monkeypatch.setattr(runs, "LETTERS_A_STEP", 2)
    store([submission(acme, [call(f"k{number}", metric="tokens") for number in range(4)])])
    run = planned(acme, "DISCARD", reason="A test.")
    runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk, is_queued=False)
    runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk, steps_max=1)

    runs.dead_letter_run_cancel(tenant=acme.tenant, run_id=run.pk)

    assert runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)
    assert [status for _, status in statuses()] == ["DISCARDED", "DISCARDED", "NEW", "NEW"]
    for again in (runs.dead_letter_run_cancel, runs.dead_letter_run_start):
        with pytest.raises(Problem) as caught:
            again(tenant=acme.tenant, run_id=run.pk)
        assert caught.value.detail == "The run is CANCELLED."


def test_many_are_discarded_with_one_reason(acme):
    store([submission(acme, [call("k1", metric="a"), call("k2", metric="b"), call("k3")])])
    run = planned(acme, "DISCARD", metric="a")

    with pytest.raises(Problem) as caught:
        runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk)
    assert caught.value.code == "input_invalid"
    runs.dead_letter_run_start(tenant=acme.tenant, run_id=run.pk, reason="A typo.", is_queued=False)
    runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)

    assert statuses() == [("k1", "DISCARDED"), ("k2", "NEW")]
    assert DeadLetter.objects.get(idempotency_key="k1").reason == "A typo."
    # It stays counted where it was.
    assert tally(acme) == {"received": 3, "accepted": 1, "dead_letters": 2}


def test_what_is_held_is_replayed_once_its_name_is_known(acme, monkeypatch):
    monkeypatch.setattr(runs, "dead_letter_run_queue", lambda **asked: None)
    metering_profile_set(tenant=acme.tenant, holds_unknown_metrics=True, holds_unknown_customers=True)
    store(
        [
            submission(
                acme,
                [
                    call("k1", metric="tokens"),
                    call("k2", metric="tokens", customer_id="cust_new"),
                    call("k3", customer_id="cust_other"),
                ],
            )
        ]
    )
    assert runs.held_letters_replay(tenant=acme.tenant) == []

    meter(acme.tenant, "tokens")
    (run,) = runs.held_letters_replay(tenant=acme.tenant)
    # Asked again while it is under way: nothing new.
    assert runs.held_letters_replay(tenant=acme.tenant) == []
    runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)

    run.refresh_from_db()
    assert run.outcomes == {"accepted": 1, "refused": 1}
    # k2 waits for its customer now, and is not tried again every minute.
    assert DeadLetter.objects.get(idempotency_key="k2").code == "customer_unknown"
    assert runs.held_letters_replay(tenant=acme.tenant) == []
    customer(acme.tenant, "cust_new")
    (run,) = runs.held_letters_replay(tenant=acme.tenant)
    runs.dead_letter_run_work(tenant=acme.tenant, run_id=run.pk)
    assert statuses() == [("k1", "REPLAYED"), ("k2", "REPLAYED"), ("k3", "HELD")]


def test_beat_replays_what_every_tenant_holds(acme, monkeypatch):
    monkeypatch.setattr(runs, "dead_letter_run_queue", lambda **asked: None)
    other, quiet = workspace("other"), workspace("quiet")
    for each in (acme, other):
        metering_profile_set(tenant=each.tenant, holds_unknown_metrics=True)
        store([submission(each, call("k1", metric="tokens"))])
        meter(each.tenant, "tokens")
    meter(quiet.tenant, "tokens")

    held_letters_replay()

    started = DeadLetterRun.objects.filter(status="RUNNING", actor=runs.HELD_ACTOR)
    assert {run.tenant for run in started} == {acme.tenant, other.tenant}


def test_a_run_is_its_tenants_alone(acme):
    other = workspace("other")
    store([submission(acme, call("k1", metric="tokens")), submission(other, call("k1", metric="tokens"))])
    run = planned(acme)

    assert run.total == 1
    for action in (runs.dead_letter_run_start, runs.dead_letter_run_cancel, runs.dead_letter_run_map):
        with pytest.raises(Problem) as caught:
            action(tenant=other.tenant, run_id=run.pk)
        assert caught.value.code == "not_found"


@pytest.mark.slow
def test_thousands_are_replayed_in_seconds(acme):
    store([submission(acme, [call(f"k{number}", metric="tokens") for number in range(4_000)])])
    meter(acme.tenant, "tokens")
    run = planned(acme)

    began_s = perf_counter()
    assert runs.dead_letter_run_preview(run).accepted == 4_000
    previewed_s = perf_counter() - began_s
    worked(acme, run)

    assert previewed_s < 5
    assert tally(acme) == {"received": 4_000, "accepted": 4_000}
