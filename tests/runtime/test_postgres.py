"""The private PostgreSQL: durable whatever its owner sets, and back after every kind of end."""

from __future__ import annotations

import os
import signal
import socket

import psycopg
import pytest

from aforo.runtime import postgres
from aforo.runtime.errors import OtherMajorVersion, PortTaken
from aforo.runtime.postgres import EmbeddedPostgres
from aforo.runtime.process import port_pick, processes_in, wait_until
from tests.runtime.builders import is_alive


@pytest.fixture
def server(tmp_path):
    (tmp_path / "parent").mkdir(mode=0o700)
    server = EmbeddedPostgres(tmp_path / "parent" / "postgres", port_pick())
    yield server
    server.stop()


def value(server: EmbeddedPostgres, statement: str):
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def test_data_outlives_stop_kill_and_a_stale_pid_file(server):
    server.start()
    value(server, "CREATE TABLE kept (n int)")
    value(server, "INSERT INTO kept VALUES (1)")

    server.stop()
    server.start()
    assert value(server, "SELECT count(*) FROM kept") == 1

    value(server, "INSERT INTO kept VALUES (2)")
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: server.pid is None, 5)
    # The number in the file belongs to a living process that is no PostgreSQL: this one.
    pid_file = server.data / "postmaster.pid"
    pid_file.write_text(
        pid_file.read_text().replace(pid_file.read_text().split("\n")[0], str(os.getpid()), 1)
    )
    server.start()
    assert value(server, "SELECT count(*) FROM kept") == 2


def test_a_commit_is_on_disk_whatever_alter_system_says(server):
    server.start()
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        value(server, f"ALTER SYSTEM SET {name} = off")
    value(server, "ALTER SYSTEM SET work_mem = '5MB'")
    server.stop()
    server.start()
    assert [value(server, f"SHOW {name}") for name in postgres.DURABLE] == ["on", "on", "on"]
    # What is not about durability is the owner's to set.
    assert value(server, "SHOW work_mem") == "5MB"


def test_only_the_password_opens_it_and_only_from_this_machine(server):
    server.start()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"postgresql://aforo@127.0.0.1:{server.port}/aforo")
    assert value(server, "SHOW listen_addresses") == "127.0.0.1"
    assert value(server, "SHOW unix_socket_directories") == ""
    assert value(server, "SELECT extname FROM pg_extension WHERE extname = 'pg_stat_statements'")


def test_parent_folders_keep_their_modes(server):
    server.start()
    assert server.folder.parent.stat().st_mode & 0o777 == 0o700
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert server.data.stat().st_mode & 0o777 == 0o700


def test_a_server_left_by_a_killed_owner_is_ended_and_its_data_taken_over(server):
    server.start()
    value(server, "CREATE TABLE kept (n int)")
    left, server.process = server.process, None
    server.start()
    assert not is_alive(left.pid)
    assert value(server, "SELECT count(*) FROM kept") == 0
    left.wait()


def test_processes_that_outlive_a_killed_server_are_ended(server):
    server.start()
    worker = next(pid for pid in processes_in(server.data, "postgres") if pid != server.pid)
    # Stopped, it does not notice that the postmaster is gone.
    os.kill(worker, signal.SIGSTOP)
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: processes_in(server.data, "postgres") == [worker], 10)
    server.start()
    # What is left of it may take a moment to be a zombie.
    assert wait_until(lambda: not is_alive(worker), 5)
    assert value(server, "SELECT 1") == 1


def test_a_taken_port_is_said_and_leaves_nothing_running(server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        with pytest.raises(PortTaken, match=rf"port {server.port} on 127\.0\.0\.1 is taken"):
            server.start()
    assert processes_in(server.data, "postgres") == []


def test_data_of_another_major_version_is_refused_untouched(server):
    server.init()
    (server.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(OtherMajorVersion, match=r"written by PostgreSQL 15; .* are version 18\. Dump it"):
        server.start()


def test_root_without_user_namespaces_gives_the_data_to_nobody(server, monkeypatch):
    """As in containers that refuse them. An ordinary user needs neither and stays who they are."""
    real = postgres.runs_as
    monkeypatch.setattr(
        postgres, "runs_as", lambda account, program: account != "namespace" and real(account, program)
    )
    server.start()
    assert value(server, "SELECT 1") == 1
    is_root = os.geteuid() == 0
    assert server.data.stat().st_uid == (postgres.NOBODY_ID if is_root else os.geteuid())
    # Once nobody's, always nobody's: also when namespaces are allowed again.
    monkeypatch.undo()
    server.stop()
    server.start()
    assert value(server, "SELECT 1") == 1
