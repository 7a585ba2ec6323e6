"""Events that were set aside: nothing is lost on their second way, whoever else writes or dies meanwhile."""

from __future__ import annotations

import json

import msgspec
import pytest

from aforo.kernel.clock import now
from entitlements.edge import dead as deads
from entitlements.edge.dead import Busy, DeadEvents
from entitlements.edge.sending import Sender, Waits

from .origins import Origin, event, problem, set_aside

REFUSED = (403, None, problem("No scope."))


@pytest.fixture
def dead(tmp_path):
    return DeadEvents(tmp_path)


def buried(dead: DeadEvents, count: int) -> str:
    """The day of so many events that are set aside: k0, k1, …"""
    # Today, so that what is set aside later comes to the same file.
    day = f"{now():%Y-%m-%d}"
    set_aside(dead.folder.parent, day, (f"k{number}" for number in range(count)))
    return day


def keys(dead: DeadEvents, day: str) -> list[str]:
    return [msgspec.json.decode(one.event)["idempotency_key"] for one in dead.of_day(day)]


def test_what_is_taken_goes_and_what_is_refused_again_stays_with_its_new_answer(dead):
    day = buried(dead, 3)
    origin = Origin(unreadable={"k1": 400})
    assert dead.replay(day, Sender(origin)) == 2
    assert origin.taken == ["k0", "k2"]
    (one,) = dead.of_day(day)
    assert (one.status, json.loads(one.answer)["detail"]) == (400, "k1 cannot be read.")
    # The cause is gone: the file, too.
    assert dead.replay(day, Sender(Origin())) == 1
    assert (dead.days(), dead.size_bytes()) == ([], 0)


def test_an_event_keeps_every_digit(dead):
    exact = b'{"idempotency_key":"k0","quantity":0.1000000000000000055}'
    dead.bury(msgspec.Raw(exact), 422, b"")
    origin = Origin()
    dead.replay(*dead.days(), Sender(origin))
    assert origin.bodies == [b"[" + exact + b"]"]


def test_what_the_agent_sets_aside_meanwhile_is_kept(dead):
    day = buried(dead, 2)
    origin = Origin()
    send = origin.events_send

    def send_and_bury(body, headers):
        dead.bury(event("later"), 422, problem("Not yet."))
        return send(body, headers)

    origin.events_send = send_and_bury
    assert dead.replay(day, Sender(origin)) == 2
    assert keys(dead, day) == ["later"]


def test_where_the_origin_refuses_half_way_what_it_took_is_gone_and_the_rest_stays(dead):
    day = buried(dead, 2_500)
    origin = Origin()
    send = origin.events_send
    origin.events_send = lambda body, headers: REFUSED if origin.taken else send(body, headers)
    with pytest.raises(Waits, match="No scope"):
        dead.replay(day, Sender(origin))
    assert len(origin.taken) == 1_000
    assert keys(dead, day) == [f"k{number}" for number in range(1_000, 2_500)]


def test_an_origin_that_is_away_is_tried_for_five_minutes(dead, monkeypatch):
    day = buried(dead, 1)
    slept, told = [], []
    monkeypatch.setattr(deads.time, "sleep", slept.append)
    monkeypatch.setattr(deads.time, "monotonic", lambda: sum(slept))
    sender = Sender(Origin(*[(503, None, b"")] * 99), chance=lambda: 1.0)
    with pytest.raises(Waits):
        dead.replay(day, sender, on_pause=lambda seconds, why: told.append(why))
    # 0.5 + 1 + 2 + … + 32 and three times 60: the next would pass 300.
    assert sum(slept) == 63.5 + 3 * 60
    assert set(told) == {"status 503"}
    assert keys(dead, day) == ["k0"]


def test_a_line_that_was_torn_or_edited_wrongly_stays_and_the_others_are_sent(dead):
    day = buried(dead, 1)
    path = dead.folder / f"{day}.ndjson"
    path.write_bytes(b'{"at": "2026-\n' + path.read_bytes() + b'{"at": "torn')
    dead.bury(event("after"), 422, b"")
    assert [one is None for one in dead.of_day(day)] == [True, False, True, False]
    origin = Origin()
    assert dead.replay(day, Sender(origin)) == 2
    assert origin.taken == ["k0", "after"]
    assert path.read_bytes() == b'{"at": "2026-\n{"at": "torn\n'


def test_two_do_not_send_again_at_the_same_time(dead):
    buried(dead, 1)
    with dead.replaying(), pytest.raises(Busy), dead.replaying():
        raise AssertionError("both send")
    with dead.replaying():
        pass


def test_days_come_in_order(dead):
    buried(dead, 1)
    (dead.folder / "2026-01-02.ndjson").write_bytes(b"")
    (dead.folder / "2026-01-01.ndjson").write_bytes(b"")
    assert dead.days()[:2] == ["2026-01-01", "2026-01-02"]
    # A file that a person has emptied goes.
    assert dead.replay("2026-01-01", Sender(Origin())) == 0
    assert dead.days()[0] == "2026-01-02"
