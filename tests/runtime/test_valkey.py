"""The two private Redis-protocol servers: the log is on disk before it answers, and cannot be emptied."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from aforo.runtime.errors import PortTaken, ServiceFault
from aforo.runtime.process import port_pick, processes_in, wait_until
from aforo.runtime.valkey import EmbeddedValkey, command
from tests.runtime.builders import is_alive


@pytest.fixture
def log(tmp_path):
    server = EmbeddedValkey(tmp_path / "log", port_pick(), "log")
    yield server
    server.stop()


@pytest.fixture
def cache(tmp_path):
    server = EmbeddedValkey(tmp_path / "cache", port_pick(), "cache")
    yield server
    server.stop()


def setting(server: EmbeddedValkey, name: str) -> str:
    return command(server.url, "CONFIG", "GET", name)[1]


def test_the_log_syncs_every_write_and_forgets_none(log):
    log.start()
    assert [setting(log, name) for name in ("appendonly", "appendfsync", "maxmemory-policy")] == [
        "yes",
        "always",
        "noeviction",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("SWAPDB", "0", "1"),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("ACL", "SETUSER", "aforo", "+@all"),
        ("BGREWRITEAOF",),
        ("SHUTDOWN",),
        ("CONFIG", "SET", "appendfsync", "no"),
        ("RENAME", "aforo:a", "aforo:b"),
        ("SET", "other:key", "1"),
    ],
)
def test_the_application_cannot_empty_or_weaken_the_log(log, words):
    log.start()
    with pytest.raises(ServiceFault, match="NOPERM"):
        command(log.url, *words)
    assert command(log.admin_url, "PING") == "PONG"


def test_without_a_password_nobody_is_let_in(log):
    log.start()
    with pytest.raises(ServiceFault, match=r"NOAUTH|WRONGPASS"):
        command(f"redis://127.0.0.1:{log.port}/0", "PING")
    assert log.password not in (log.folder / "valkey.conf").read_text()


def test_an_answered_write_outlives_kill_and_a_torn_end_of_the_file(log):
    log.start()
    for n in range(100):
        command(log.url, "XADD", "aforo:log", "*", "n", str(n))
    os.kill(log.pid, signal.SIGKILL)
    assert wait_until(lambda: log.pid is None, 5)
    # A write that the power cut tore in two, and so was never answered.
    incremental = next((log.folder / "appendonlydir").glob("*.incr.aof"))
    with incremental.open("ab") as file:
        file.write(b"*5\r\n$4\r\nXADD\r\n$9\r\naforo:l")
    log.start()
    assert command(log.url, "XLEN", "aforo:log") == "100"


def test_the_cache_keeps_tasks_and_evicts_nothing(cache):
    cache.start()
    assert [setting(cache, name) for name in ("appendonly", "appendfsync", "maxmemory-policy")] == [
        "yes",
        "everysec",
        "noeviction",
    ]
    command(cache.url, "LPUSH", "celery", "task")
    cache.stop()
    cache.start()
    assert command(cache.url, "LLEN", "celery") == "1"


def test_a_server_left_by_a_killed_owner_is_ended(cache):
    cache.start()
    left, cache.process = cache.process, None
    cache.start()
    assert not is_alive(left.pid)
    assert command(cache.url, "PING") == "PONG"
    left.wait()


def test_a_taken_port_is_said_and_leaves_nothing_running(cache):
    with socket.socket() as other:
        other.bind(("127.0.0.1", cache.port))
        other.listen()
        with pytest.raises(PortTaken, match=r"Valkey \(cache\): port"):
            cache.start()
    assert processes_in(cache.folder, "valkey-server") == []
