"""A recorded file becomes one customer's usage, the same at every repetition."""

from __future__ import annotations

import pytest

from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Customer, Tenant
from metering.delivery import Receipt, RefusedEvent
from metering.services.replays import recording_replay, rows_counted

CSV = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,oops
2023-11-16 18:16:51.2224670,879,55
"""


class Kept:
    """A delivery that keeps what it is given and refuses what has no readable time."""

    def __init__(self):
        self.batches: list[list[dict]] = []

    def send(self, events):
        self.batches.append(events)
        refused = [
            RefusedEvent(index, "field_invalid", event["timestamp"])
            for index, event in enumerate(events)
            if event["timestamp"].startswith("line")
        ]
        return Receipt(len(events) - len(refused), 0, tuple(refused))

    @property
    def events(self):
        return [event for batch in self.batches for event in batch]


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


def customer(zone="UTC"):
    return Customer(tenant=Tenant(slug="acme_corp"), external_id="cust_abc", timezone=zone)


def test_rows_go_in_batches_and_an_unreadable_one_is_named_by_its_line(csv):
    kept, seen = Kept(), []
    replay = recording_replay(
        customer=customer(),
        path=csv,
        form="llm-csv",
        delivery=kept,
        into="2026-10",
        batch_size=2,
        on_batch=lambda replay: seen.append(replay.rows),
    )
    assert [len(batch) for batch in kept.batches] == [2, 1]
    assert seen == [2, 3]
    assert [event["idempotency_key"] for event in kept.events] == ["trace:1", "trace:2", "trace:3"]
    assert (replay.rows, replay.accepted, replay.unreadable) == (3, 2, 1)
    assert replay.refused == {"field_invalid": 1}
    assert replay.examples == ["line 3 has 'oops' for GeneratedTokens, not a whole number."]
    assert (instant_text(replay.first_at), instant_text(replay.last_at)) == (
        "2026-10-16T18:15:46.680590Z",
        "2026-10-16T18:16:51.222467Z",
    )


@pytest.mark.promise("P23")
def test_a_repetition_sends_the_same_events(csv):
    once, twice = Kept(), Kept()
    for kept in (once, twice):
        recording_replay(customer=customer(), path=csv, form="llm-csv", delivery=kept, into="2026-10")
    assert once.events == twice.events


def test_only_the_first_rows_and_a_prefix_of_ones_own(csv):
    kept = Kept()
    recording_replay(
        customer=customer(), path=csv, form="llm-csv", delivery=kept, key_prefix="azure-conv-2023", rows_max=1
    )
    assert [event["idempotency_key"] for event in kept.events] == ["azure-conv-2023:1"]
    # Without a month, times stay as they were recorded.
    assert kept.events[0]["timestamp"] == "2023-11-16T18:15:46.680590Z"


@pytest.mark.parametrize(("prefix", "key"), [(None, "own"), ("p", "p:1")])
def test_a_rows_own_key_stands_unless_another_is_asked_for(tmp_path, prefix, key):
    path = tmp_path / "events.ndjson"
    path.write_text('{"metric": "m", "timestamp": "2026-03-01T00:00:00Z", "idempotency_key": "own"}\n')
    kept = Kept()
    recording_replay(customer=customer(), path=path, form="ndjson", delivery=kept, key_prefix=prefix)
    assert kept.events[0]["idempotency_key"] == key


def test_bytes_of_an_old_encoding_become_visible_escapes(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(b'::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "Caf\xe9"\n')
    kept = Kept()
    recording_replay(customer=customer(), path=path, form="combined-log", delivery=kept)
    assert kept.events[0]["properties"]["agent"] == r"Caf\xe9"


def test_what_cannot_be_read_at_all_is_a_sentence(tmp_path, csv):
    with pytest.raises(Problem, match=r"nowhere\.csv cannot be read: No such file or directory"):
        rows_counted(tmp_path / "nowhere.csv")
    with pytest.raises(Problem, match="cannot be read: Is a directory"):
        rows_counted(tmp_path)
    with pytest.raises(Problem, match="'March' is no month; write it like 2026-03"):
        recording_replay(customer=customer(), path=csv, form="llm-csv", delivery=Kept(), into="March")
