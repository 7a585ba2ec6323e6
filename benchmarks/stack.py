"""The stack under test: `make run` in a folder of its own, and beside it servers with the same settings for the floors."""

from __future__ import annotations

import json
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
from aforo.runtime.services import endpoints_read
from aforo.runtime.supervisor import PROJECT, application, python_path

START_S = 120.0
STOP_S = 60.0


class Stack:
    """Everything that `make run` starts; its web server listens on `port`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = port_pick()
        self.environment: dict[str, str] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start it, point this process at its servers, and load Django."""
        words = ["-m", "aforo.runtime", "run", "--home", str(self.home), "--port", str(self.port)]
        self._run("run", [sys.executable, *words], os.environ | {"PYTHONPATH": python_path(PROJECT)})
        end = time.monotonic() + START_S
        while "AFORO_URL" not in (kept := endpoints_read(self.home) or {"environment": {}})["environment"]:
            if time.monotonic() > end or self._processes["run"].poll() is not None:
                raise TimeoutError(
                    f"`make run` did not come up:\n{(self.home / 'run.output').read_text()[-2000:]}"
                )
            time.sleep(0.1)
        self.environment = {
            **os.environ,
            **kept["environment"],
            "SECRET_KEY": kept["secret_key"],
            "AFORO_HOME": str(self.home),
            "DJANGO_SETTINGS_MODULE": "aforo.settings",
            "PYTHONPATH": python_path(PROJECT),
            "LOG_LEVEL": "WARNING",
        }
        os.environ.update(self.environment)
        import django

        django.setup()

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self.end(name)

    def serve(self, name: str, wsgi: str) -> int:
        """Start a web server as `make run` does, with another application; its port, once it answers."""
        port = port_pick()
        *command, _ = application(PROJECT, self.home, port)[0].command
        self._run(name, [*command, wsgi], self.environment)
        _await(f"http://127.0.0.1:{port}/health")
        return port

    def end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far: of each part of `make run`, and of the load generator (this process)."""
        return {name: _cpu_s(pid) for name, pid in self._pids().items()} | {"load": time.process_time()}

    def drained(self) -> None:
        """Wait until the writer has written the log's last entry."""
        from django.conf import settings

        from metering.log import redis_of, stream_of
        from metering.models import LogPosition

        log = redis_of(settings.LOG_REDIS_URL, 5.0)
        for shard in range(settings.LOG_SHARDS):
            ((last_id, _),) = log.xrevrange(stream_of(shard), count=1) or [(b"0-0", {})]
            # Asked for in the database, where the writer's process says it.
            while not LogPosition.objects.filter(shard=shard, last_id=last_id.decode()).exists():
                time.sleep(0.01)

    def pause(self, name: str) -> None:
        """Stop a part of `make run` where it is, until `resume`."""
        os.kill(self._pids()[name], signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.kill(self._pids()[name], signal.SIGCONT)

    def kill(self, name: str) -> None:
        """kill -9 of a part of `make run`, which starts it again."""
        os.kill(self._pids()[name], signal.SIGKILL)

    def _pids(self) -> dict[str, int]:
        """Of the parts of `make run`, by name."""
        pids: dict[str, int] = json.loads((self.home / "pids.json").read_text())
        pids.pop("supervisor", None)
        return pids

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.home / f"{name}.output").open("wb") as output:
            self._processes[name] = subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdout=output, stderr=output, start_new_session=True
            )


def _cpu_s(pid: int) -> float:
    """With the children, also those that have ended."""
    pids, ticks = [pid], 0
    for each in pids:
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        pids += [int(child) for child in children]
        ticks += sum(map(int, fields[11:15]))
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
    raise TimeoutError(f"nothing answers at {url} after {START_S:.0f} s")


@contextmanager
def stack() -> Iterator[Stack]:
    """A stack in a temporary folder on the working disk, ended and removed afterwards."""
    # Beside the code and not in /tmp, which may be memory: an fsync there would cost nothing.
    home = Path(tempfile.mkdtemp(prefix=".aforo-bench-", dir=PROJECT))
    under_test = Stack(home)
    try:
        under_test.start()
        yield under_test
    finally:
        under_test.stop()
        shutil.rmtree(home, ignore_errors=True)
