"""Real processes on this test's database and servers, dead at the end, however a test ends."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.db import connection

from aforo.runtime.process import port_pick
from aforo.runtime.supervisor import application

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
WRITER = ("manage.py", "writer")
PUBLISHER = ("manage.py", "publisher")
# How often the faults are repeated; `make faults` does it more often.
TIMES = int(os.environ.get("FAULT_TIMES", "1"))


@contextmanager
def program(*words: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python words…`, in a group of its own."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "LOG_REDIS_URL": settings.LOG_REDIS_URL,
            "LOG_LEVEL": "WARNING",
            **environ,
        },
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)


def database_url() -> str:
    """Of the database that this test's own connection leads to."""
    to = connection.settings_dict
    return f"postgresql://{quote(to['USER'])}:{quote(to['PASSWORD'])}@{to['HOST']}:{to['PORT']}/{quote(to['NAME'])}"


class Web(NamedTuple):
    """url: as http://127.0.0.1:PORT. process: granian's master."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """The pids that answer requests; the master starts others in their place."""
        found = []
        # Its threads have children of their own.
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            found += [int(pid) for pid in children.read_text().split()]
        return found


@contextmanager
def web(variant: str = "") -> Iterator[Web]:
    """The web server as `make run` has it; variant: another WSGI application, as module:name."""
    port = port_pick()
    _, *words = next(one.command for one in application(ROOT, ROOT, port) if one.name == "web")
    if variant:
        words[-1] = variant
    with program(*words) as process:
        wait_until(lambda: _answers(port), "the web server")
        yield Web(f"http://127.0.0.1:{port}", process)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def freeze(pids: Iterable[int]) -> None:
    """SIGSTOP, and wait until each of their threads stands: a call to the kernel that is under way ends first."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda pid=pid: is_frozen(pid), f"the stop of {pid}")


def is_frozen(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        # Killed before.
        pass
    process.wait()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.01)


@contextmanager
def store_closed():
    """The store refuses every new connection to this test's database, and has cut all but our own."""
    name = connection.settings_dict["NAME"]
    # From beside: a database cannot be closed by a session in it.
    elsewhere = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/postgres"))
    with psycopg.connect(elsewhere, autocommit=True) as beside:
        try:
            beside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            cut = beside.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                [name, connection.connection.info.backend_pid],
            )
            assert cut.fetchone()[0] >= 1
            yield
        finally:
            beside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
