"""The three servers of one home: one owner, kept ports, and the operator's own servers where given."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from aforo.runtime.errors import HomeInUse
from aforo.runtime.postgres import EmbeddedPostgres
from aforo.runtime.process import port_pick, wait_until
from aforo.runtime.services import Services, endpoints_read, environment_default, home_holder
from aforo.runtime.valkey import command
from tests.runtime.builders import PROJECT, python_environment

# PostgreSQL's own tests start it; here a given address stands for it, which saves a second a test.
GIVEN = {"DATABASE_URL": "postgresql://you:secret@db.example/aforo"}


def services(home, **environ):
    return Services(home, relaxed=True, environ={**GIVEN, **environ})


def test_a_home_has_one_owner_who_is_named(tmp_path):
    with services(tmp_path / "home"):
        assert home_holder(tmp_path / "home") == os.getpid()
        with pytest.raises(HomeInUse, match=f"in use by process {os.getpid()}"):
            services(tmp_path / "home").start()
    assert home_holder(tmp_path / "home") is None


def test_two_homes_stand_side_by_side(tmp_path):
    with services(tmp_path / "one") as one, services(tmp_path / "two") as two:
        command(one.environment()["REDIS_URL"], "SET", "name", "one")
        command(two.environment()["REDIS_URL"], "SET", "name", "two")
        assert command(one.environment()["REDIS_URL"], "GET", "name") == "one"
        assert one.environment()["SECRET_KEY"] != two.environment()["SECRET_KEY"]


def test_ports_key_and_data_are_kept_and_addresses_only_while_running(tmp_path):
    with services(tmp_path) as first:
        environment = first.environment()
        assert endpoints_read(tmp_path)["environment"]["REDIS_URL"] == environment["REDIS_URL"]
        assert (tmp_path / "endpoints.json").stat().st_mode & 0o777 == 0o600
    assert endpoints_read(tmp_path)["environment"] == {}
    with services(tmp_path) as second:
        assert second.environment() == environment


def test_a_kept_port_that_somebody_took_is_replaced(tmp_path):
    with services(tmp_path) as first:
        taken = first.servers["cache"].port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        with services(tmp_path) as second:
            assert second.servers["cache"].port != taken
            assert command(second.environment()["REDIS_URL"], "PING") == "PONG"


def test_a_given_server_is_used_and_its_own_kind_not_started(tmp_path):
    given = {"REDIS_URL": "redis://cache.example:6379/3", "SECRET_KEY": "operator's"}
    with services(tmp_path, **given) as some:
        assert list(some.servers) == ["log"]
        environment = some.environment()
    assert {name: environment[name] for name in (*GIVEN, *given)} == {**GIVEN, **given}
    # What is the operator's is not ours to write down.
    assert "example" not in (tmp_path / "endpoints.json").read_text()


def test_a_server_that_dies_is_noticed_and_returns_on_its_port(tmp_path):
    with services(tmp_path) as some:
        url = some.environment()["LOG_REDIS_URL"]
        command(url, "XADD", "aforo:log", "*", "n", "1")
        os.kill(some.pids()["log"], 9)
        assert wait_until(lambda: some.crashed() == ["log"], 5)
        some.restart("log")
        assert some.crashed() == []
        assert command(url, "XLEN", "aforo:log") == "1"


def test_a_failed_start_leaves_nothing_and_frees_the_home(tmp_path):
    broken = Services(tmp_path, relaxed=True, environ={})
    EmbeddedPostgres(tmp_path / "postgres", port_pick(), relaxed=True).init()
    (tmp_path / "postgres" / "data" / "postgresql.conf").write_text("no such setting = here\n")
    with pytest.raises(Exception, match="PostgreSQL did not start"):
        broken.start()
    assert broken.servers == {}
    assert home_holder(tmp_path) is None


def test_servers_end_when_their_owner_is_killed_and_the_next_one_takes_over(tmp_path):
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from aforo.runtime.services import Services\n"
            f"Services(sys.argv[1], relaxed=True, environ={GIVEN!r}).start()\n"
            "print('up', flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env=python_environment(),
    )
    owner.stdout.readline()
    url = endpoints_read(tmp_path)["environment"]["LOG_REDIS_URL"]
    command(url, "XADD", "aforo:log", "*", "n", "1")
    owner.kill()
    owner.wait()
    assert home_holder(tmp_path) is None
    with services(tmp_path):
        assert command(url, "XLEN", "aforo:log") == "1"


def test_another_shell_finds_the_running_servers_but_keeps_what_it_was_given(tmp_path, monkeypatch):
    record = {"secret_key": "kept", "environment": {"REDIS_URL": "redis://a", "LOG_REDIS_URL": "redis://b"}}
    (tmp_path / "endpoints.json").write_text(json.dumps(record))
    monkeypatch.setenv("AFORO_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://given")
    monkeypatch.delenv("LOG_REDIS_URL")
    environment_default()
    assert os.environ["REDIS_URL"] == "redis://given"
    assert os.environ["LOG_REDIS_URL"] == "redis://b"
