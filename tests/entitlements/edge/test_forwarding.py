"""What an agent has on its disk comes to the origin, or to a person."""

from __future__ import annotations

import logging

import msgspec
import pytest

from entitlements.edge.dead import DeadEvents
from entitlements.edge.forwarding import Forwarder, entry_pack
from entitlements.edge.sending import Sender
from metering.spool import Spool, spool_bytes

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
