"""Children are bound to their parent, and ending one ends all it started and nothing else."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest

from aforo.runtime import process
from aforo.runtime.errors import ServiceFault
from aforo.runtime.process import child_end, child_start, has_exited, wait_until
from tests.runtime.builders import PROJECT, is_alive, orderly

# Starts a child of its own that ignores SIGTERM, as a pool process of a killed master would live on.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def bystander():
    """A program that nobody here may touch."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield program
    assert program.poll() is None
    program.kill()
    program.wait()


def test_a_child_that_ends_in_order_is_not_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("ENDED", str(tmp_path / "ended"))
    child = child_start(orderly("writer"), cwd=tmp_path, output=subprocess.PIPE)
    child.stdout.readline()
    assert child_end(child) == 0
    assert (tmp_path / "ended").read_text() == "writer\n"


def test_a_stubborn_child_is_killed_with_its_group_and_nothing_else(tmp_path, bystander):
    child = child_start([sys.executable, "-c", STUBBORN], cwd=tmp_path, output=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    assert child_end(child, ((signal.SIGTERM, 0.2),)) == -signal.SIGKILL
    assert wait_until(lambda: not is_alive(grandchild), 5)


def test_a_child_ends_when_its_parent_is_killed(tmp_path, bystander):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time; from pathlib import Path\n"
            "from aforo.runtime.process import child_start\n"
            "child = child_start(['sleep', '60'], cwd=Path('/'), output=subprocess.DEVNULL)\n"
            "print(child.pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_alive(child), 5)


def test_a_command_that_is_not_there_says_so(tmp_path):
    child = child_start(["/nowhere/program"], cwd=tmp_path, output=subprocess.PIPE)
    assert child.stdout.read() == b"/nowhere/program: No such file or directory\n"
    assert child.wait() == 127


def test_an_ended_child_keeps_its_number_until_it_is_reaped(tmp_path):
    child = child_start(["true"], cwd=tmp_path, output=subprocess.DEVNULL)
    assert wait_until(lambda: has_exited(child), 5)
    assert child.returncode is None
    assert process.group_end(child) == 0


def test_a_port_in_use_is_not_free_and_never_picked():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not process.port_is_free(server.getsockname()[1])


def test_a_picked_port_is_none_of_those_to_avoid(monkeypatch):
    port = process.port_pick()
    assert port in process.PORTS
    monkeypatch.setattr(process, "PORTS", range(port, port + 1))
    assert process.port_pick() == port
    with pytest.raises(ServiceFault, match="No free port"):
        process.port_pick(avoid=[port])


def test_a_secret_is_made_once_and_is_its_owners_only(tmp_path):
    secret = process.secret_kept(tmp_path / "password")
    assert len(secret) == 32
    assert process.secret_kept(tmp_path / "password") == secret
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["password"]


def test_a_log_beyond_its_size_is_set_aside_once(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_BYTES_MAX", 10)
    path = tmp_path / "web.log"
    for text in (b"the first, long\n", b"the second, long\n", b"the third\n"):
        with process.log_open(path) as file:
            file.write(text)
    assert path.read_text() == "the third\n"
    assert (tmp_path / "web.log.1").read_text() == "the second, long\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_waiting_ends_at_its_time():
    start = time.monotonic()
    assert not wait_until(lambda: False, 0.1)
    assert 0.1 <= time.monotonic() - start < 2
