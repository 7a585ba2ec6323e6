"""The event log: searched in one order, and followed without missing or repeating a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from metering.batch import store
from metering.models import DeadLetter
from metering.selectors import event_log
from metering.selectors.event_log import log_followed_for, log_for
from metering.services.dead_letters import dead_letter_replay
from metering.services.profiles import metering_profile_set
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def sent(acme, seconds, *events, **changes):
    """Received so many seconds after noon, and written at once."""
    store([submission(acme, list(events), received_at=at(seconds), **changes)])


@pytest.fixture
def acme():
    """Four events (one of them late), one refused and one held."""
    made = workspace()
    customer(made.tenant, "cust_b")
    meter(made.tenant, "tokens")
    metering_profile_set(tenant=made.tenant, holds_unknown_metrics=True)
    with clock_at(NOON):
        sent(made, 0, call("k1", source="kong"))
        sent(made, 1, call("k2", customer_id="cust_b"))
        sent(made, 2, call("k3", metric="tokens"))
        sent(made, 3, call("k4", timestamp="2026-03-10T00:00:00Z"))
        sent(made, 4, call("k5", customer_id="nobody", source="kong"))
        sent(made, 5, call("k6", metric="nothing"))
    return made


def keys(rows):
    return [row.idempotency_key for row in rows]


def test_everything_stands_in_one_order(acme):
    rows = log_for(acme.tenant, limit=10)

    # The late one by its own time.
    assert keys(rows) == ["k6", "k5", "k3", "k2", "k1", "k4"]
    assert [row.status for row in rows] == ["held", "refused", "accepted", "accepted", "accepted", "late"]
    assert (rows[0].code, rows[0].quantity, rows[0].timestamp) == ("metric_unknown", None, None)
    assert rows[0].dead_letter_id == DeadLetter.objects.get(idempotency_key="k6").pk
    assert (rows[2].quantity, rows[2].code, rows[2].dead_letter_id) == (1, "", None)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"status": "accepted"}, ["k3", "k2", "k1"]),
        ({"status": "late"}, ["k4"]),
        ({"status": "refused"}, ["k5"]),
        ({"status": "held"}, ["k6"]),
        ({"customer_id": "cust_b"}, ["k2"]),
        ({"customer_id": "nobody"}, ["k5"]),
        ({"metric": "api.call"}, ["k5", "k2", "k1", "k4"]),
        ({"source": "kong"}, ["k5", "k1"]),
        ({"source": "kong", "status": "accepted"}, ["k1"]),
        ({"key": "k1"}, ["k1"]),
        ({"key": "k5"}, ["k5"]),
        ({"key": "k1", "status": "late"}, []),
        ({"key": "k1", "metric": "tokens"}, []),
        ({"key": "none"}, []),
        ({"start": at(2)}, ["k6", "k5", "k3"]),
        ({"start": at(1), "end": at(4)}, ["k3", "k2"]),
        ({"end": at(0)}, ["k4"]),
    ],
)
def test_it_is_searched(acme, asked, found):
    assert keys(log_for(acme.tenant, limit=10, **asked)) == found


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_hold_each_row_once(acme, limit):
    seen, after = [], None
    while page := log_for(acme.tenant, limit=limit, after=after):
        seen += keys(page)
        after = page[-1].place
    assert seen == ["k6", "k5", "k3", "k2", "k1", "k4"]


def test_a_replayed_letter_stands_as_its_event(acme):
    customer(acme.tenant, "nobody")
    letter = DeadLetter.objects.get(idempotency_key="k5")
    dead_letter_replay(tenant=acme.tenant, letter_id=letter.pk, actor="ada")

    (row,) = log_for(acme.tenant, limit=10, key="k5")
    assert (row.status, row.dead_letter_id) == ("accepted", None)


def test_another_tenants_rows_are_not_there(acme):
    other = workspace("other")
    assert log_for(other.tenant, limit=10) == []
    with clock_at(at(6)):
        assert log_followed_for(other.tenant)[0] == []


def test_who_follows_sees_each_row_once(acme):
    with clock_at(at(6)):
        rows, cursor = log_followed_for(acme.tenant)
        # By their receipt, so that the late one stands where it came in.
        assert keys(rows) == ["k6", "k5", "k4", "k3", "k2", "k1"]
        assert log_followed_for(acme.tenant, cursor=cursor)[0] == []
        sent(acme, 6, call("k7"), call("k8", customer_id="nobody"))
        # Received before those that were seen, and written later.
        sent(acme, 2.5, call("k9"))
    with clock_at(at(8)):
        rows, cursor = log_followed_for(acme.tenant, cursor=cursor)
        assert sorted(keys(rows)) == ["k7", "k8", "k9"]
        assert log_followed_for(acme.tenant, cursor=cursor)[0] == []


def test_who_begins_sees_the_last_ten_seconds(acme):
    with clock_at(at(13)):
        assert keys(log_followed_for(acme.tenant)[0]) == ["k6", "k5", "k4"]
    with clock_at(at(60)):
        assert log_followed_for(acme.tenant)[0] == []


def test_what_is_followed_is_filtered(acme):
    with clock_at(at(6)):
        for asked, found in [
            ({"status": "held"}, ["k6"]),
            ({"status": "late"}, ["k4"]),
            ({"source": "kong"}, ["k5", "k1"]),
            ({"customer_id": "cust_b"}, ["k2"]),
            ({"metric": "tokens"}, ["k3"]),
        ]:
            assert keys(log_followed_for(acme.tenant, **asked)[0]) == found


def test_of_more_than_fifty_the_latest_are_shown(acme):
    with clock_at(at(7)):
        sent(acme, 6, *(call(f"m{number}") for number in range(300)))
        rows, cursor = log_followed_for(acme.tenant)
        assert len(rows) == 50
        assert {row.received_at for row in rows} == {at(6)}
        assert len(cursor) < 2_500


def test_who_looked_away_begins_anew(acme):
    with clock_at(at(6)):
        _, cursor = log_followed_for(acme.tenant)
    with clock_at(at(4_000)):
        sent(acme, 100, call("k7"))
        sent(acme, 3_999, call("k8"))
        assert keys(log_followed_for(acme.tenant, cursor=cursor)[0]) == ["k8"]


@pytest.mark.parametrize("cursor", ["x", "====", "MjAyNg", "é"])
def test_what_is_no_cursor_is_said(acme, cursor):
    with pytest.raises(Problem) as caught:
        log_followed_for(acme.tenant, cursor=cursor)
    assert caught.value.facts == {"errors": {"cursor": ["This is no cursor of an earlier answer."]}}


def test_every_status_of_a_letter_but_replayed_is_in_the_log():
    shown = {one for some in event_log.LETTERS.values() for one in some}
    assert set(DeadLetter.status.field.choices) - {(one.value, one.label) for one in shown} == {
        ("REPLAYED", "Replayed")
    }
