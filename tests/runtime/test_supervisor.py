"""The supervisor: starts in order, restarts what dies, ends everything it started and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from aforo.runtime import supervisor
from aforo.runtime.errors import RuntimeFault
from aforo.runtime.output import Files, Terminal
from aforo.runtime.process import port_pick, wait_until
from aforo.runtime.services import Services
from aforo.runtime.supervisor import Program, Supervisor
from tests.runtime.builders import PROJECT, is_alive, orderly, python_environment

NONE_OF_OURS = {
    "DATABASE_URL": "postgresql://db.example/aforo",
    "REDIS_URL": "redis://cache.example",
    "LOG_REDIS_URL": "redis://log.example",
}


def programs(*names: str) -> tuple[Program, ...]:
    return tuple(Program(name, orderly(name), grace_seconds=5) for name in names)


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """The file in which orderly programs note their end."""
    monkeypatch.setenv("ENDED", str(tmp_path / "ended"))
    return tmp_path / "ended"


@pytest.fixture
def small(tmp_path, ended):
    """A supervisor of three programs, beside servers that the environment gives."""
    home = tmp_path / "home"
    some = Supervisor(
        Services(home, environ=NONE_OF_OURS),
        programs("writer", "web", "worker"),
        Files(home / "logs"),
        project=tmp_path,
    )
    some.start()
    some.tick()
    yield some
    some.stop()


def pids(some: Supervisor) -> dict[str, int]:
    return {name: child.process.pid for name, child in some.children.items() if child.process}


def log(some: Supervisor, name: str) -> str:
    return (some.services.home / "logs" / f"{name}.log").read_text()


def test_everything_ends_in_order_web_first_and_writer_last(small, ended):
    assert wait_until(lambda: all(f"{name} is up" in log(small, name) for name in small.children), 10)
    started = pids(small)
    small.stop()
    assert ended.read_text().split() == ["web", "worker", "writer"]
    assert not any(is_alive(pid) for pid in started.values())


def test_a_killed_child_is_started_again_after_a_pause_that_grows(small):
    first = pids(small)["writer"]
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: small.tick() or pids(small).get("writer", first) != first, 5)
    second = pids(small)["writer"]
    os.kill(second, signal.SIGKILL)
    assert wait_until(lambda: small.tick() or pids(small).get("writer", second) != second, 5)
    said = log(small, "supervisor")
    assert "writer has ended by SIGKILL; starting it again in 0.5 s." in said
    assert "writer has ended by SIGKILL; starting it again in 1 s." in said


def test_the_pids_of_all_stand_in_a_file_while_they_run(small):
    path = small.services.home / "pids.json"
    assert json.loads(path.read_text()) == {"supervisor": os.getpid(), **pids(small)}
    small.stop()
    assert not path.exists()


def test_a_server_that_cannot_come_back_is_tried_once_a_second(tmp_path, monkeypatch):
    home = tmp_path / "home"
    some = Supervisor(
        Services(home, relaxed=True, environ={**NONE_OF_OURS, "REDIS_URL": ""}),
        (),
        Files(home / "logs"),
        project=tmp_path,
    )
    some.start()
    try:
        port, pid = some.services.servers["cache"].port, some.services.pids()["cache"]
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: some.services.crashed() == ["cache"], 5)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            deadline = time.monotonic() + 1.5
            wait_until(lambda: some.tick() or time.monotonic() > deadline, 3)
            # At 0 s and at 1 s; a line each tick would be 75.
            assert log(some, "supervisor").count("is taken by another program") == 2
        assert wait_until(lambda: some.tick() or some.services.crashed() == [], 5)
    finally:
        some.stop()


def test_a_command_runs_beside_and_its_exit_code_is_ours(small):
    script = "import os, sys; sys.exit(7 if os.environ['AFORO_URL'] == 'http://here' else 1)"
    assert supervisor.command_run(small, [sys.executable, "-c", script], AFORO_URL="http://here") == 7
    assert supervisor.command_run(small, ["sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM


def test_a_preparation_that_fails_says_why_and_a_secret_one_leaves_no_log(small):
    assert (
        small.prepare("seed", ["sh", "-c", "echo $WORD"], more={"WORD": "sk_live"}, is_secret=True)
        == "sk_live\n"
    )
    assert not (small.services.home / "logs" / "seed.log").exists()
    with pytest.raises(RuntimeFault, match=r"migrate failed \(3\):\nno such table"):
        small.prepare("migrate", ["sh", "-c", "echo no such table; exit 3"])


def test_the_next_free_port_is_taken_and_said():
    said = []
    wanted = port_pick()
    assert supervisor.web_port(wanted, said.append) == wanted
    assert said == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted))
        other.listen()
        assert supervisor.web_port(wanted, said.append) > wanted
    assert said[0].startswith(f"Port {wanted} is taken by another program; using ")


def test_the_welcome_holds_a_first_call_that_can_be_pasted(tmp_path):
    seed = {
        "tenant": "acme_corp",
        "api_key": "sk_live_[x]",
        "admin_user": "admin",
        "admin_password": "pass[1]",
    }
    text = supervisor.welcome("http://127.0.0.1:8000", seed, tmp_path)
    assert "pass[1]" in text
    assert (
        "curl -i -X POST http://127.0.0.1:8000/v1/events \\\n"
        '  -H "Authorization: Bearer sk_live_[x]" \\\n'
        '  -H "X-Tenant-Id: acme_corp" \\\n'
        """  -d '{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}'\n"""
    ) in text


def test_lines_of_children_carry_their_name(tmp_path, ended):
    with (tmp_path / "screen").open("w") as screen:
        terminal = Terminal(screen)
        some = Supervisor(
            Services(tmp_path / "home", environ=NONE_OF_OURS), programs("web"), terminal, project=tmp_path
        )
        some.start()
        some.tick()
        seen = wait_until(lambda: "web is up" in (tmp_path / "screen").read_text(), 10)
        some.stop()
    assert seen
    assert "web      | web is up\n" in (tmp_path / "screen").read_text()


SUPERVISED = """
import os, sys
from pathlib import Path
from aforo.runtime.output import Terminal
from aforo.runtime.services import Services
from aforo.runtime.supervisor import Program, Supervisor
from tests.runtime.builders import orderly
home = Path(sys.argv[1])
given = {"DATABASE_URL": "postgresql://db.example/aforo", "REDIS_URL": "redis://cache.example"}
some = Supervisor(
    Services(home, environ=given),
    [Program(name, orderly(name), 5) for name in ("web", "writer")], Terminal(), project=home)
some.signals_take()
some.start()
some.run()
some.stop()
"""


@pytest.fixture
def started(tmp_path):
    """A supervisor in a process of its own, in the foreground of nobody's terminal: (process, all its pids)."""
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISED, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=python_environment(ENDED=str(tmp_path / "ended")),
        start_new_session=True,
    )
    # Each program says that it is up once it can take SIGTERM.
    assert {process.stdout.readline().split()[0] for _ in range(2)} == {"web", "writer"}
    path = home / "pids.json"
    complete = {"supervisor", "log", "web", "writer"}
    assert wait_until(lambda: path.exists() and json.loads(path.read_text()).keys() == complete, 10)
    yield process, json.loads(path.read_text())
    process.kill()
    process.wait()


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_order_to_end_ends_everything_that_was_started(started, tmp_path, order):
    process, all_pids = started
    assert all(is_alive(pid) for pid in all_pids.values())
    process.send_signal(order)
    assert process.wait(60) == 0
    assert [name for name, pid in all_pids.items() if is_alive(pid)] == []
    assert (tmp_path / "ended").read_text().split() == ["web", "writer"]


def test_a_killed_supervisor_leaves_nothing_behind(started):
    process, all_pids = started
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(is_alive(pid) for pid in all_pids.values()), 10)
