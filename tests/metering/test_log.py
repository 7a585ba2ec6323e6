"""The durable log: what an answer may promise, and where a submission goes when the first place fails."""

from __future__ import annotations

import os
import signal
import time
from secrets import token_hex

import pytest
from django.db import connection
from django.test import override_settings

from aforo.kernel.breaker import PAUSE_S
from aforo.kernel.errors import Problem
from aforo.runtime.process import port_pick
from aforo.runtime.valkey import EmbeddedValkey, command
from metering import log
from metering.models import LogEntry
from metering.packing import submission_unpack
from metering.spool import spool_drain
from tests.workspaces import workspace

from .rows import call, submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_empty")]

MIB = 1024 * 1024


@pytest.fixture
def acme():
    return workspace()


@pytest.fixture
def own_log(tmp_path):
    """A log of this test's own, to stop and to reconfigure."""
    server = EmbeddedValkey(tmp_path / "log", port_pick(), "log")
    server.start()
    with override_settings(LOG_REDIS_URL=server.url):
        yield server
    server.stop()


@pytest.fixture
def store_away():
    """This process's connection to the store leads nowhere."""
    settings, port = connection.settings_dict, connection.settings_dict["PORT"]
    connection.close()
    settings["PORT"] = port_pick()
    yield
    settings["PORT"] = port
    connection.close()


def entries(url=None, shard=0):
    """What the stream of a shard holds."""
    with log.redis_of(url or os.environ["LOG_REDIS_URL"], 1.0) as client:
        return [submission_unpack(fields[log.FIELD]) for _, fields in client.xrange(log.stream_of(shard))]


def rows():
    return [submission_unpack(bytes(row.body)) for row in LogEntry.objects.order_by("id")]


def test_a_submission_is_one_entry_with_all_that_it_is(acme):
    sent = submission(acme, [call(f"k{n}") for n in range(1_000)], source="kong", is_strict=True)

    assert log.append(sent) == "log"

    assert entries() == [sent]
    assert rows() == []


@pytest.mark.parametrize(
    ("setting", "value"), [("appendfsync", "everysec"), ("appendfsync", "no"), ("appendonly", "no")]
)
def test_a_log_that_is_not_on_disk_first_is_not_called_durable(acme, own_log, setting, value):
    sent = submission(acme, call("k1"))
    command(own_log.admin_url, "CONFIG", "SET", setting, value)

    assert log.append(sent) == "store"

    assert rows() == [sent]


def test_a_log_that_was_changed_is_noticed_within_a_second_and_at_once_after_a_restart(acme, own_log):
    assert log.append(submission(acme, call("k1"))) == "log"
    command(own_log.admin_url, "CONFIG", "SET", "appendfsync", "everysec")

    # As after a restart: the old connection is gone, and the new one leads to a server that is not trusted yet.
    command(own_log.admin_url, "CLIENT", "KILL", "USER", "aforo")
    assert log.append(submission(acme, call("k2"))) == "store"

    command(own_log.admin_url, "CONFIG", "SET", "appendfsync", "always")
    assert log.append(submission(acme, call("k3"))) == "log"
    command(own_log.admin_url, "CONFIG", "SET", "appendfsync", "everysec")
    time.sleep(log.LOOK_EVERY_S + 0.05)
    assert log.append(submission(acme, call("k4"))) == "store"


@override_settings(LOG_APPENDFSYNC="everysec")
def test_everysec_is_the_operators_choice_and_is_said(acme, own_log):
    command(own_log.admin_url, "CONFIG", "SET", "appendfsync", "everysec")

    assert log.append(submission(acme, call("k1"))) == "log-everysec"


@pytest.mark.promise("P88")
def test_the_store_takes_over_while_the_log_is_down_and_gives_back(acme, own_log):
    own_log.stop()
    sent = [submission(acme, call(f"k{n}")) for n in range(6)]

    assert [log.append(one) for one in sent] == ["store"] * 6

    assert rows() == sent
    own_log.start()
    # The breaker is open for a second after the last try.
    time.sleep(PAUSE_S + 0.05)
    assert log.append(submission(acme, call("k6"))) == "log"


def test_a_log_that_hangs_costs_three_timeouts_and_then_one_a_second(acme, own_log):
    assert log.append(submission(acme, call("k0"))) == "log"
    os.kill(own_log.pid, signal.SIGSTOP)
    try:
        sent = [submission(acme, call(f"k{n}")) for n in range(1, 40)]
        started_s = time.monotonic()
        assert {log.append(one) for one in sent} == {"store"}
        # 3 × 0.25 s, and 36 inserts.
        assert time.monotonic() - started_s < 3 * 0.25 + 1.0
    finally:
        os.kill(own_log.pid, signal.SIGCONT)
    # The hung server had read the commands: those submissions are in both places, under one intake id.
    time.sleep(0.1)
    copies = {one.intake_id for one in entries(own_log.url)} & {one.intake_id for one in rows()}
    assert copies <= {one.intake_id for one in sent[:3]}
    assert rows() == sent


def test_a_full_log_asks_to_wait_and_drops_nothing(acme, own_log):
    first = submission(acme, call("k1"))
    with override_settings(LOG_BYTES_MAX=1):
        assert log.append(first) == "log"
        for _ in range(2):
            with pytest.raises(Problem) as caught:
                log.append(submission(acme, call("k2")))
            assert (caught.value.code, caught.value.status) == ("storage_unavailable", 503)
            assert caught.value.retry_after_s == log.RETRY_AFTER_S

    assert entries(own_log.url) == [first]
    assert rows() == []


def test_a_server_without_memory_gives_way_to_the_store(acme, own_log):
    assert log.append(submission(acme, call("k1"))) == "log"
    command(own_log.admin_url, "CONFIG", "SET", "maxmemory", "1")
    assert log.append(submission(acme, call("k2"))) == "store"

    command(own_log.admin_url, "CONFIG", "SET", "maxmemory", "0")
    assert log.append(submission(acme, call("k3"))) == "log"
    assert len(entries(own_log.url)) == 2


@pytest.mark.promise("P27")
def test_nothing_durable_is_said_so(acme, own_log, store_away):
    own_log.stop()

    with pytest.raises(Problem) as caught:
        log.append(submission(acme, call("k1")))

    assert caught.value.code == "storage_unavailable"
    assert caught.value.retry_after_s == log.RETRY_AFTER_S


@pytest.mark.promise("P27")
def test_the_spool_takes_over_where_there_is_one(acme, own_log, store_away, tmp_path):
    own_log.stop()
    sent = submission(acme, call("k1"))
    kept = []

    with override_settings(LOG_SPOOL_DIR=str(tmp_path / "spool"), LOG_SPOOL_BYTES_MAX=MIB):
        assert log.append(sent) == "spool"
        with pytest.raises(Problem):
            log.append(submission(acme, [call("k2", note=token_hex(MIB))]))

    spool_drain(tmp_path / "spool", kept.extend)
    assert [submission_unpack(entry) for entry in kept] == [sent]


def test_a_connection_that_the_store_has_closed_is_replaced(acme, own_log):
    own_log.stop()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()

    assert log.append(submission(acme, call("k1"))) == "store"


def test_a_row_is_on_disk_although_the_database_would_not_wait_for_it():
    # The servers of the tests have synchronous_commit off; the statement sets it for itself and leaves no trace.
    with connection.cursor() as cursor:
        cursor.execute(log._INSERT + " RETURNING current_setting('synchronous_commit')", [0, b"", "now", ""])
        assert cursor.fetchone() == ("on",)
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("off",)


@override_settings(LOG_SHARDS=4)
def test_a_tenants_shard_never_changes_and_tenants_are_spread():
    assert [log.shard_of(tenant_id) for tenant_id in (1, 2, 3, 4, 5)] == [3, 1, 3, 0, 2]
    # Live tenants have every second number; 500 of them on 4 shards are 125 each, give or take.
    counts = [0] * 4
    for tenant_id in range(1, 1_000, 2):
        counts[log.shard_of(tenant_id)] += 1
    assert min(counts) > 100
