"""The writer: what was appended becomes rows, wherever it waited and whatever happened to the log meanwhile."""

from __future__ import annotations

import logging
import os
import threading

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from aforo.runtime.valkey import command
from metering import log
from metering.models import Bucket, DeadLetter, Event, LogEntry, LogPosition
from metering.packing import submission_pack, submission_unpack
from metering.spool import Spool
from metering.writer import KEPT_MS, PositionMoved, Writer
from tests.workspaces import workspace

from .rows import append, call, submission, tally

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]

STREAM = "aforo:log:0"


@pytest.fixture
def acme():
    return workspace()


def admin(*words):
    return command(os.environ["TEST_LOG_ADMIN_URL"], *words)


def last_id():
    return LogPosition.objects.get(shard=0).last_id


@pytest.mark.promise("P14")
def test_what_was_appended_becomes_rows_and_the_position_is_behind_it(acme):
    for batch in range(7):
        append(acme, [call(f"k{batch}.{n}", 2) for n in range(100)])

    assert Writer(0).drain() == 7
    assert Writer(0).drain() == 0

    assert Event.objects.count() == 700
    assert Bucket.objects.get().sum == 1_400
    assert tally(acme) == {"received": 700, "accepted": 700}
    ((newest, _),) = log.redis_of(settings.LOG_REDIS_URL, 1.0).xrevrange(STREAM, count=1)
    assert last_id() == newest.decode()


def test_batches_are_as_long_as_their_entries_allow(acme):
    writer = Writer(0)
    assert writer._entries == 4
    append(acme, [call(f"k{n}") for n in range(1_000)])
    writer.drain()
    assert writer._entries == 5  # of 1,000 events: 5,000
    append(acme, [call("single")])
    writer.drain()
    assert writer._entries == 500  # of one event: the most that is read at once


@pytest.mark.promise("P27")
def test_what_fell_back_to_the_store_and_the_spool_is_written_too(acme, tmp_path):
    append(acme, call("log"))
    log.entry_insert(0, submission_pack(submission(acme, call("store"))))
    Spool(tmp_path, bytes_max=1_000_000).append(submission_pack(submission(acme, call("spool"))))

    with override_settings(LOG_SPOOL_DIR=str(tmp_path)):
        assert Writer(0).drain() == 3

    assert set(Event.objects.values_list("key", flat=True)) == {"log", "store", "spool"}
    assert not LogEntry.objects.exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.promise("P22")
def test_a_submission_that_is_in_two_places_counts_once(acme):
    # The append timed out after it was sent, and the store took it as well.
    sent = append(acme, [call("k1"), call("k1"), {"id": "k2"}])
    log.entry_insert(0, submission_pack(sent))

    Writer(0).drain()

    assert tally(acme) == {"received": 3, "accepted": 1, "duplicates": 1, "dead_letters": 1, "copies": 3}


@pytest.mark.promise("P27")
def test_an_entry_that_is_none_is_set_aside_and_does_not_stop_the_others(acme, caplog):
    append(acme, call("before"))
    with log.redis_of(settings.LOG_REDIS_URL, 1.0) as client:
        client.xadd(STREAM, {log.FIELD: b"\x09what is this"})
    append(acme, call("after"))

    Writer(0).drain()

    assert set(Event.objects.values_list("key", flat=True)) == {"before", "after"}
    entry = LogEntry.objects.get()
    assert bytes(entry.body) == b"\x09what is this"
    assert "entry set aside" in caplog.text
    # It stays, and is not read again and again.
    assert Writer(0).drain() == 0


def test_an_entry_that_was_set_aside_is_read_again_once_a_person_says_so(acme):
    nobody = submission(acme, call("k1"), tenant_id=acme.tenant.pk + 1_000_000)
    log.entry_insert(0, submission_pack(nobody))
    Writer(0).drain()
    entry = LogEntry.objects.get()
    assert submission_unpack(bytes(entry.body)) == nobody

    entry.body = submission_pack(submission(acme, call("k1")))
    entry.problem = ""
    entry.save()
    Writer(0).drain()

    assert not LogEntry.objects.exists()
    assert Event.objects.get().key == "k1"


@pytest.mark.promise("P27")
def test_another_log_is_read_from_its_start_and_said(acme, caplog):
    kept = append(acme, call("k1"))
    Writer(0).drain()

    # The log was lost; what is there now is in part what was read before.
    admin("FLUSHDB")
    log.append(kept)
    append(acme, call("k2"))
    Writer(0).drain()

    assert [record.levelname for record in caplog.records if "INCIDENT" in record.message] == ["ERROR"]
    assert tally(acme) == {"received": 2, "accepted": 2, "copies": 1}


@pytest.mark.promise("P27")
def test_a_log_that_went_back_in_time_is_read_from_its_start(acme, caplog):
    append(acme, call("k1"))
    Writer(0).drain()
    epoch = admin("GET", f"{STREAM}:epoch")

    # An older copy of the log was restored, under its old name; its clock was behind, so that new entries come
    # before our place.
    admin("DEL", STREAM)
    entry = submission_pack(submission(acme, call("k2")))
    with log.redis_of(settings.LOG_REDIS_URL, 1.0) as client:
        client.xadd(STREAM, {log.FIELD: entry}, id="1000-1")
    Writer(0).drain()

    assert admin("GET", f"{STREAM}:epoch") == epoch
    assert "INCIDENT" in caplog.text
    assert tally(acme) == {"received": 2, "accepted": 2}
    assert last_id() == "1000-1"


def test_a_log_that_is_emptied_under_a_running_writer_is_noticed(acme, caplog):
    writer = Writer(0)
    append(acme, call("k1"))
    assert writer._hold()
    writer._turn(block_ms=None)

    admin("FLUSHDB")
    append(acme, call("k2"))
    for _ in range(3):
        writer._turn(block_ms=None)
    writer._let_go()

    assert "INCIDENT" in caplog.text
    assert tally(acme) == {"received": 2, "accepted": 2}


def test_entries_that_were_cut_off_unread_are_an_incident(acme, caplog):
    append(acme, call("k1"))
    Writer(0).drain()
    append(acme, call("k2"))
    admin("XTRIM", STREAM, "MAXLEN", "0")
    append(acme, call("k3"))

    Writer(0).drain()

    assert "INCIDENT" in caplog.text
    assert tally(acme) == {"received": 2, "accepted": 2}


def test_what_was_read_stays_an_hour_and_what_was_not_read_stays(acme):
    with log.redis_of(settings.LOG_REDIS_URL, 1.0) as client:
        entries = {}
        # Minutes behind the newest: of two hours, 60 minutes and one, and 59.
        for key, minutes in (("old", 120), ("older", 61), ("kept", 59), ("newest", 0)):
            entry = submission_pack(submission(acme, call(key)))
            entries[key] = client.xadd(
                STREAM, {log.FIELD: entry}, id=f"{2 * KEPT_MS * 2 - minutes * 60_000}-0"
            )
        Writer(0).drain()
        assert [entry_id for entry_id, _ in client.xrange(STREAM)] == [entries["kept"], entries["newest"]]

        writer = Writer(0)
        writer._hold()
        writer._log_meet()
        unread = append(acme, call("unread"))
        with override_settings(LOG_BYTES_MAX=1):
            # Full: all that was read goes, and nothing else.
            writer._log_trim()
        left = [submission_unpack(fields[log.FIELD]) for _, fields in client.xrange(STREAM)]
        assert unread in left
        assert len(left) == 2  # the newest that was read marks the place
        writer._let_go()
    assert tally(acme) == {"received": 4, "accepted": 4}


def test_a_writer_whose_place_was_moved_by_another_writes_nothing(acme):
    writer = Writer(0)
    writer._hold()
    append(acme, call("k1"))
    writer._log_meet()
    LogPosition.objects.update(last_id="1-1")

    with pytest.raises(PositionMoved):
        writer._log_write(None)

    assert not Event.objects.exists()
    writer._let_go()


@pytest.mark.django_db(transaction=True)
def test_a_second_writer_waits_and_takes_over(acme):
    ours = Event.objects.filter(tenant=acme.tenant)
    first = Writer(0)
    assert first._hold()
    second, stop = None, threading.Event()

    def run():
        second.run()
        connection.close()

    second = Writer(0, stop)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        append(acme, call("k1"))
        stop.wait(1.0)
        assert not ours.exists()
        first._let_go()
        for _ in range(100):
            if ours.exists():
                break
            stop.wait(0.05)
        assert ours.get().key == "k1"
        # Told to end, it writes what has arrived by then.
        append(acme, call("k2"))
    finally:
        stop.set()
        thread.join()
    assert ours.count() == 2


def test_once_writes_all_that_waits(acme, capsys):
    append(acme, call("k1"))

    call_command("writer", "--once")

    assert capsys.readouterr().out == "Written: 1 log entries. Nothing is left.\n"
    assert Event.objects.count() == 1


def test_once_says_that_the_log_is_away(acme):
    with (
        override_settings(LOG_REDIS_URL="redis://127.0.0.1:1"),
        pytest.raises(CommandError, match="Not drained"),
    ):
        call_command("writer", "--once")


def test_the_command_knows_its_shards(capsys):
    with pytest.raises(CommandError, match="There is no shard 1; LOG_SHARDS is 1"):
        call_command("writer", "--once", "--shard", "1")
    with pytest.raises(SystemExit):
        call_command("writer", "--help")
    assert "Example: manage.py writer --once" in capsys.readouterr().out


@override_settings(LOG_SHARDS=3)
def test_each_tenant_is_written_by_its_shard():
    made = [workspace(f"tenant{n}") for n in range(6)]
    for one in made:
        append(one, call("k1"))

    for shard in range(3):
        Writer(shard).drain()
        assert {row.tenant_id for row in Event.objects.all()} == {
            one.tenant.pk for one in made if log.shard_of(one.tenant.pk) <= shard
        }


@pytest.mark.promise("P15")
def test_totals_equal_a_recount_of_what_was_sent(acme):
    # 40 bodies of 25 events, every fifth sent again, every seventh refused; some a day late.
    sent = {}
    for body in range(40):
        events = [
            call(
                f"k{body}.{n}" if n % 5 else f"k{body // 2}.{n}",
                n if n % 5 else body // 2 + n,
                customer_id="nobody" if n % 7 == 3 else "cust_abc",
                late=n % 2,
            )
            for n in range(25)
        ]
        append(acme, events)
        for event in events:
            if event["customer_id"] == "cust_abc":
                sent.setdefault(event["idempotency_key"], event["quantity"])

    Writer(0).drain()

    counts = tally(acme)
    assert counts["received"] == 1_000
    assert counts["accepted"] == len(sent) == Event.objects.count()
    assert counts["accepted"] + counts["duplicates"] + counts["dead_letters"] == 1_000
    assert counts["dead_letters"] == DeadLetter.objects.count() == 40 * 4
    buckets = Bucket.objects.all()
    assert sum(bucket.sum for bucket in buckets) == sum(sent.values())
    assert sum(bucket.count for bucket in buckets) == len(sent)


def test_the_reports_say_what_was_done(acme, caplog):
    caplog.set_level(logging.INFO)
    append(acme, [call("k1"), call("k2")])

    Writer(0).drain()

    assert "shard=0 entries=1 events=2 busy_s=0." in caplog.text
