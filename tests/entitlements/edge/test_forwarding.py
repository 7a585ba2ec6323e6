"""What an agent has on its disk comes to the origin, or to a person."""

from __future__ import annotations

import logging
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.edge.dead import DeadEvents
from entitlements.edge.forwarding import Forwarder, entry_pack, events_read
from entitlements.edge.sending import Sender
from metering.event import Accepted, Refused
from metering.intake.schema import ALIASES
from metering.spool import Spool, spool_bytes
from tests.metering.builders import RECEIVED_AT, verdicts

from .origins import Origin, events, problem


@pytest.fixture
def spooled(tmp_path):
    """Three events in one file."""
    Spool(tmp_path, bytes_max=10**6).append(entry_pack(events(3)))
    return tmp_path


@pytest.mark.promise("P27")
def test_a_key_without_its_scope_buries_nothing_and_is_said_loudly(spooled, caplog):
    revoked = (401, None, problem("The API key was revoked or has expired."))
    unscoped = (403, None, problem("This call needs a key with the scope 'ingest'."))
    origin = Origin(revoked, unscoped)
    forwarder = Forwarder(Sender(origin), spooled)
    waiting = spool_bytes(spooled)
    for status in (401, 403):
        assert forwarder.turn() == 60.0
        assert forwarder.tally.refused_status == status
        assert spool_bytes(spooled) == waiting
        assert DeadEvents(spooled).days() == []
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 2
    assert "refuses this agent" in said[0]
    assert "was revoked" in said[0]
    # Another key: everything that waited is sent, once.
    assert forwarder.turn() == 0.0
    assert origin.taken == ["k0", "k1", "k2"]
    assert (spool_bytes(spooled), forwarder.tally.refused_status) == (0, 0)


def test_an_event_that_cannot_be_read_is_set_aside_and_the_others_are_sent(spooled):
    origin = Origin(unreadable={"k1": 400})
    forwarder = Forwarder(Sender(origin), spooled)
    assert forwarder.turn() == 0.0
    assert origin.taken == ["k0", "k2"]
    dead = DeadEvents(spooled)
    (day,) = dead.days()
    (one,) = dead.of_day(day)
    assert (one.status, one.answer) == (400, '{"detail": "k1 cannot be read."}')
    assert msgspec.json.decode(one.event)["idempotency_key"] == "k1"
    assert forwarder.tally.dead == 1


def test_an_outage_after_an_event_that_cannot_be_read_sets_it_aside_once(spooled):
    # All, [k0], [k1 k2], [k1], which cannot be read, and no answer to [k2]. The file is sent again.
    origin = Origin(None, None, None, None, (503, None, b""), unreadable={"k1": 400})
    forwarder = Forwarder(Sender(origin, chance=lambda: 0.0), spooled)
    assert forwarder.turn() > 0
    assert forwarder.turn() == 0.0
    dead = DeadEvents(spooled)
    assert [len(dead.of_day(day)) for day in dead.days()] == [1]
    assert set(origin.taken) == {"k0", "k2"}


def test_a_disk_that_refuses_is_tried_again(spooled, monkeypatch):
    def refuses(self, *_):
        raise OSError("No space left on device")

    forwarder = Forwarder(Sender(Origin(unreadable={"k1": 400})), spooled)
    with monkeypatch.context() as patch:
        patch.setattr(DeadEvents, "bury", refuses)
        assert forwarder.turn() > 0
    assert forwarder.turn() == 0.0
    assert [len(DeadEvents(spooled).of_day(day)) for day in DeadEvents(spooled).days()] == [1]


NAMES = [name for names in ALIASES.values() for name in names if name != "tenant_id"] + [
    "model",
    "specversion",
]
VALUES = st.sampled_from(
    [
        "cust_abc",
        "api.call",
        "k1",
        "2026-03-15T11:00:00Z",
        "1.0",
        "2.50",
        3,
        0.1,
        None,
        True,
        [],
        {},
        {"model": "gpt-4o"},
        "é",
    ]
)
SENT = {"customer_id": "cust_abc", "metric": "api.call"}
CLOUD = {"specversion": "1.0", "type": "api.call", "subject": "cust_abc", "data": {"quantity": 2}}


@given(
    body=st.sampled_from([{}, SENT, {"tenantId": "cust_abc", "metricKey": "api.call"}, CLOUD]),
    changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    is_batch=st.booleans(),
    door=st.sampled_from(["events", "meter"]),
    key=st.sampled_from([None, "header"]),
    source=st.sampled_from([None, "kong"]),
)
def test_an_event_is_the_same_by_way_of_an_agent(body, changes, is_batch, door, key, source):
    event = {**body, **changes}
    if door == "events" or event.keys() & {"customer_id", "customerId"}:
        # There it names the workspace; and beside another name of the customer it means nothing, and stays behind.
        event.pop("tenantId", None)
    content = msgspec.json.encode([event, SENT] if is_batch and door == "events" else event)
    straight = verdicts(content, door=door, idempotency_header=key, source=source)
    taken = events_read(content, edge="berlin", door=door, key=key, source=source, received_at=RECEIVED_AT)
    later = RECEIVED_AT + timedelta(hours=3)
    by_agent = verdicts(entry_pack(taken), received_at=later)
    assert [told(one) for one in by_agent] == [told(one) for one in straight]


def told(verdict: Accepted | Refused) -> object:
    """What of an event does not depend on its way. A key that nobody gave is made on the way."""
    if isinstance(verdict, Refused):
        return verdict.refusal.code
    event = verdict.event
    key = event.idempotency_key
    is_made = len(key) > len("header:1")
    return (
        "" if is_made else key,
        event.customer_id,
        event.metric,
        event.quantity,
        event.timestamp,
        event.source,
        event.properties,
    )
