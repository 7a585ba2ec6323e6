"""How far a writer is behind, as the command, /metrics and the console tell it."""

from __future__ import annotations

import json
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from metering import log
from metering.backlog import backlogs, spool_waiting_bytes
from metering.packing import submission_pack
from metering.spool import Spool
from metering.writer import Writer
from tests.workspaces import workspace

from .rows import append, call, submission

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]

NOBODY_THERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def acme():
    return workspace()


def test_what_waits_in_log_and_store_is_counted_and_gone_once_it_is_written(acme):
    sizes = [len(submission_pack(append(acme, call(f"k{n}")))) for n in range(3)]
    log.entry_insert(0, b"12345")
    log.entry_insert(0, b"67", problem="none")
    time.sleep(0.05)

    (before,) = backlogs()
    assert (before.entries, before.bytes, before.is_counted_out) == (3, sum(sizes), True)
    assert (before.rows, before.rows_bytes, before.set_aside) == (1, 5, 1)
    assert 0.05 <= before.oldest_s <= before.behind_s < 30
    assert (before.written_at, before.writer) == (None, None)

    Writer(0).drain()

    (after,) = backlogs()
    # The row was no submission, and was set aside beside the other.
    assert (after.entries, after.bytes, after.rows, after.set_aside) == (0, 0, 0, 2)
    assert after.behind_s == 0
    assert after.written_at is not None


def test_a_long_backlog_is_counted_up_to_a_thousand(acme):
    for n in range(1_005):
        log.append(submission(acme, call(f"k{n}")))

    (one,) = backlogs()

    assert (one.entries, one.is_counted_out) == (1_000, False)


def test_the_holder_of_a_shard_is_named():
    writer = Writer(0)
    writer._hold()
    (held,) = backlogs()
    writer._let_go()
    (free,) = backlogs()

    assert held.writer.startswith("pid ")
    assert free.writer is None


@override_settings(LOG_REDIS_URL=NOBODY_THERE)
def test_a_log_that_does_not_answer_leaves_its_numbers_unknown(acme):
    log.entry_insert(0, b"12345")

    (one,) = backlogs()

    assert (one.entries, one.behind_s, one.rows) == (None, None, 1)


def test_the_spool_of_this_host_is_counted(tmp_path):
    assert spool_waiting_bytes() == 0
    with override_settings(LOG_SPOOL_DIR=str(tmp_path)):
        Spool(tmp_path, bytes_max=1_000).append(b"12345")
        # Length and checksum, then the entry.
        assert spool_waiting_bytes() == 8 + 5


def told(*words):
    out = StringIO()
    call_command("log", "status", *words, stdout=out)
    return out.getvalue()


def test_the_command_says_it_to_people_and_programs_and_ends_with_1_where_nobody_writes(acme):
    assert "nobody" in told()
    assert json.loads(told("--json"))["shards"][0]["behind_s"] == 0

    append(acme, call("k1"))
    with pytest.raises(CommandError, match="Nobody writes shard 0"):
        told()
    with override_settings(LOG_REDIS_URL=NOBODY_THERE), pytest.raises(CommandError, match="does not answer"):
        told()


def metrics(**headers):
    return Client(headers=headers).get("/metrics")


def test_metrics_are_told_to_this_host_alone_unless_there_is_a_token(acme):
    append(acme, call("k1"))
    answer = metrics()
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    text = answer.content.decode()
    assert "aforo_store_up 1.0" in text
    assert 'aforo_log_entries{shard="0"} 1.0' in text
    assert 'aforo_log_has_writer{shard="0"} 0.0' in text
    # Never written: no instant is told.
    assert "aforo_log_written_timestamp_seconds{" not in text

    assert metrics(**{"X-Forwarded-For": "203.0.113.7"}).status_code == 403
    assert Client(REMOTE_ADDR="203.0.113.7").get("/metrics").status_code == 403
    with override_settings(METRICS_TOKEN="t0ken"):
        assert metrics().status_code == 403
        assert metrics(Authorization="Bearer other").status_code == 403
        assert metrics(Authorization="Bearer t0ken").status_code == 200


@override_settings(LOG_REDIS_URL=NOBODY_THERE)
def test_metrics_leave_out_what_the_log_does_not_tell():
    text = metrics().content.decode()

    assert "aforo_log_entries{" not in text
    assert 'aforo_log_rows{shard="0"} 0.0' in text
