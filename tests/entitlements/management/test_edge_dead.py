"""manage.py edge_dead: what it says to a person, to a script, and by its exit code."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from entitlements.edge.dead import DeadEvents
from tests.entitlements.edge.origins import Origin, problem, served, set_aside


@pytest.fixture
def spool(tmp_path):
    """Three events that were set aside on the first of March, and one on the second."""
    set_aside(tmp_path, "2026-03-01", ("k0", "k1", "k2"))
    set_aside(tmp_path, "2026-03-02", ("k3",))
    return tmp_path


def edge_dead(action: str, *words: object) -> str:
    stdout = StringIO()
    call_command("edge_dead", action, *map(str, words), stdout=stdout)
    return stdout.getvalue()


def replay(spool, origin: Origin, *words: str) -> str:
    with served(origin) as url:
        return edge_dead("replay", "--spool", spool, "--endpoint", url, "--api-key", "sk_live_x", *words)


def failed(spool, origin: Origin, *words: str) -> str:
    with pytest.raises(CommandError) as caught:
        replay(spool, origin, *words)
    return str(caught.value)


def test_what_is_there_is_listed(spool):
    said = edge_dead("list", "--spool", spool).splitlines()
    assert [line.split("  ", 1)[1] for line in said[:4]] == [f"413  k{n}: Too large." for n in range(4)]
    assert said[4] == "4 events set aside."
    assert (
        edge_dead("list", "--spool", spool, "--limit", 1).splitlines()[1]
        == "4 events set aside; 1 are shown."
    )
    answer = json.loads(edge_dead("list", "--spool", spool, "--day", "2026-03-02", "--json"))
    assert (answer["count"], answer["unreadable_lines"]) == (1, 0)
    (one,) = answer["dead"]
    assert (one["status"], one["event"]) == (413, {"idempotency_key": "k3", "metric": "api.call"})


def test_all_are_sent_again(spool):
    origin = Origin()
    assert replay(spool, origin) == "4 events taken by the origin; 0 stay.\n"
    assert origin.taken == ["k0", "k1", "k2", "k3"]
    assert edge_dead("list", "--spool", spool) == "0 events set aside.\n"
    # Nothing is there: nothing to do, and no fault.
    assert replay(spool, origin) == "0 events taken by the origin; 0 stay.\n"


def test_those_of_a_day_are_sent_again(spool):
    origin = Origin((202, None, b'{"accepted": 0, "rejected": 1}'))
    answer = json.loads(replay(spool, origin, "--day", "2026-03-02", "--json"))
    assert answer == {"taken": 1, "dead_letters": 1, "stay": 0}
    assert DeadEvents(spool).days() == ["2026-03-01"]
    assert (
        failed(spool, origin, "--day", "2026-03-02")
        == "Nothing was set aside on 2026-03-02; there is 2026-03-01."
    )


def test_what_is_refused_again_stays_and_the_command_fails(spool):
    assert failed(spool, Origin(unreadable={"k1": 422})) == "What stays is shown by: manage.py edge_dead list"
    assert edge_dead("list", "--spool", spool).splitlines()[-2:][0].endswith("422  k1: k1 cannot be read.")


def test_a_key_that_may_not_is_said_at_once(spool):
    said = failed(spool, Origin((403, None, problem("This call needs a key with the scope 'ingest'."))))
    assert "status 403" in said
    assert "needs a key with the scope" in said
    assert "counted once" in said
    assert edge_dead("list", "--spool", spool).splitlines()[-1] == "4 events set aside."


def test_what_is_missing_or_wrong_is_said(spool):
    with pytest.raises(CommandError, match=r"^Say --spool\.$"):
        edge_dead("list")
    with pytest.raises(CommandError, match=r"^Say --endpoint, --api-key\.$"):
        edge_dead("replay", "--spool", spool)
    with DeadEvents(spool).replaying():
        assert failed(spool, Origin()) == "Another command sends these events again at this moment."
    (spool / "dead" / "2026-03-02.ndjson").write_bytes(b"{")
    assert edge_dead("list", "--spool", spool).splitlines()[-1] == (
        f"1 of the lines cannot be read; correct or remove them in {spool / 'dead'}."
    )
