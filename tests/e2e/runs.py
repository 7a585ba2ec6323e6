"""The real thing in a folder of its own: `make run` without make, and calls to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aforo.runtime.process import port_pick, wait_until
from tests.runtime.builders import PROJECT, is_alive, python_environment

START_S = 90.0
STOP_S = 60.0


class Run:
    """A supervisor with everything under it.

    screen: what it has printed so far.
    """

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aforo.runtime", "run", "--home", str(home), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT,
            env=python_environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.screen += line

    def up(self) -> None:
        """Wait for the welcome."""
        wait_until(
            lambda: "Ctrl-C ends everything." in self.screen or self.process.poll() is not None, START_S
        )
        assert "Ctrl-C ends everything." in self.screen, self.screen

    @property
    def curl(self) -> str:
        """The first call, as printed."""
        found = re.search(r"^curl .*?-d '.*?'$", self.screen, re.MULTILINE | re.DOTALL)
        assert found, self.screen
        return found[0]

    @property
    def url(self) -> str:
        return re.search(r"http://127\.0\.0\.1:\d+", self.curl)[0]

    @property
    def key(self) -> str:
        return re.search(r"Bearer (\S+?)\"", self.curl)[1]

    def pids(self) -> dict[str, int]:
        return json.loads((self.home / "pids.json").read_text())

    def kill(self, name: str) -> None:
        """kill -9, and wait until another has taken its place."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: self.pids().get(name, pid) != pid, 15), self.screen[-2000:]

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a call with the printed key; 0 where nobody answers."""
        return self._call(path, None, self.key)

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> tuple[int, dict[str, Any]]:
        """The same for a body; key: another than the printed one."""
        return self._call(path, json.dumps(body).encode(), key or self.key)

    def _call(self, path: str, body: bytes | None, key: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A management command, run as from another shell."""
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "aforo.runtime",
                "with-app",
                "--home",
                str(self.home),
                "--",
                "manage.py",
                *words,
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            env=python_environment(),
        )

    def stop(self, order: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does; returns its exit code once nothing it started is alive."""
        pids = self.pids()
        self.process.send_signal(order)
        code = self.process.wait(STOP_S)
        self._reader.join(5)
        assert [name for name, pid in pids.items() if is_alive(pid)] == []
        return code


@contextmanager
def running(home: Path) -> Iterator[Run]:
    """Everything up under `home`, and ended afterwards."""
    run = Run(home, port_pick())
    try:
        run.up()
        yield run
    finally:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            run.process.wait(STOP_S)


def demo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`make demo` without make."""
    command = [
        sys.executable,
        "-m",
        "aforo.runtime",
        "with-app",
        "--home",
        str(home),
        "--port",
        str(port_pick()),
    ]
    return subprocess.run(
        [*command, "--", "manage.py", "demo", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=python_environment(),
    )
