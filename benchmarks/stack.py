"""The stack under test: the servers of `make run` in a folder of its own, with its settings and its processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aforo.runtime.process import port_pick
from aforo.runtime.services import Services

ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0


class Stack:
    """Durable PostgreSQL, event log and cache; web, writer and floors are started by name."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.services = Services(home, environ={})
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        """Start the servers, point this process at them, and migrate."""
        self.services.start()
        self.environment = (
            os.environ | self.services.environment() | {"DJANGO_SETTINGS_MODULE": "aforo.settings"}
        )
        os.environ.update(self.environment)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"],
            cwd=ROOT,
            env=self.environment,
            check=True,
        )
        import django

        django.setup()

    def stop(self) -> None:
        for name in list(self.processes):
            self.end(name)
        self.services.stop()

    def serve(self, name: str, application: str, *, workers: int = 1) -> int:
        """Start granian as `make run` does and return its port once it answers."""
        port = port_pick(avoid=[])
        command = [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        command += ["--workers", str(workers), "--blocking-threads", "1", "--no-ws", "--log-level", "error"]
        self.run(name, [*command, application])
        _await(f"http://127.0.0.1:{port}/health")
        return port

    def run(self, name: str, command: list[str]) -> None:
        log = (self.home / f"{name}.log").open("wb")
        self.processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def manage(self, name: str, *arguments: str) -> None:
        """Start a long-running command of manage.py."""
        self.run(name, [sys.executable, "manage.py", *arguments])

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu_s(self, name: str) -> float:
        """CPU seconds of a process and its children so far."""
        pids = [self.processes[name].pid]
        for pid in pids:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pids += [int(child) for child in children]
        ticks = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _await(url: str) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing answers at {url} after {START_S:.0f} s; see the log beside the data")


@contextmanager
def stack() -> Iterator[Stack]:
    """A stack in a temporary folder on the working disk, ended and removed afterwards."""
    # Beside the code and not in /tmp, which may be memory: an fsync there would cost nothing.
    home = Path(tempfile.mkdtemp(prefix=".aforo-bench-", dir=ROOT))
    under_test = Stack(home)
    try:
        under_test.start()
        yield under_test
    finally:
        under_test.stop()
        shutil.rmtree(home, ignore_errors=True)
