"""PostgreSQL stopped, killed and without power, on a disk of its own: ingest answers from the log meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from django.db import DatabaseError, connection

from aforo.runtime.postgres import EmbeddedPostgres
from aforo.runtime.process import port_pick, processes_in
from metering.models import Event
from tests.workspaces import workspace

from .disks import Disk
from .journal import Journal, Sender, by_http
from .programs import ROOT, TIMES, WRITER, database_url, freeze, program, wait_until, web

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]


class Store(NamedTuple):
    server: EmbeddedPostgres
    disk: Disk


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A migrated PostgreSQL that syncs as in production, on a disk that can lose its power."""
    with Disk(tmp_path_factory.mktemp("store"), mib=1024) as disk:
        server = EmbeddedPostgres(disk.path / "postgres", port_pick())
        server.start()
        with store_at(server):
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": database_url()},
                check=True,
            )
        yield Store(server, disk)
        server.stop()


@contextmanager
def store_at(server: EmbeddedPostgres) -> Iterator[None]:
    """This process, and the programs that it starts, work on another server."""
    parts = urlsplit(server.url)
    elsewhere = {
        "HOST": parts.hostname,
        "PORT": str(parts.port),
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "NAME": parts.path.lstrip("/"),
    }
    here = {name: connection.settings_dict[name] for name in elsewhere}
    connection.close()
    connection.settings_dict.update(elsewhere)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(here)


def stopped(store: Store) -> None:
    """As a restart does: sessions are cut, the data is closed properly."""
    store.server.stop()


def killed(store: Store) -> None:
    """kill -9 of the postmaster, and of what it has started."""
    for pid in processes_in(store.server.data, "postgres"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_in(store.server.data, "postgres"), "the end of PostgreSQL")


def without_power(store: Store) -> None:
    """The disk takes nothing more, and all that ran is gone; then the disk is read again."""
    freeze(processes_in(store.server.data, "postgres"))
    store.disk.power_cut()
    killed(store)
    store.disk.power_back()


def stored() -> int:
    try:
        return Event.objects.count()
    except DatabaseError:
        # Our own session was cut too.
        connection.close()
        return 0


@pytest.mark.promise("P27", "P88")
@pytest.mark.parametrize("away", [stopped, killed, without_power])
def test_while_postgresql_is_away_the_log_answers_and_nothing_is_lost(
    store, own_log, away: Callable[[Store], None]
):
    # Where the test before ended in the middle.
    store.server.start()
    with store_at(store.server):
        acme = workspace(f"acme_{away.__name__}")
        with web() as server, program(*WRITER):
            journal = Journal(acme, by_http(server.url, acme))
            with Sender(journal, pause_s=0.005):
                for _ in range(TIMES):
                    before = stored()
                    wait_until(lambda before=before: stored() > before, "events in the store")
                    away(store)
                    sent = len(journal.sent)
                    wait_until(lambda sent=sent: len(journal.sent) > sent + 50, "events into the log")
                    store.server.start()
                    wait_until(lambda: stored() >= 47 * (sent + 50), "the writer's return")  # noqa: B023 - called at once
            journal.check()

    assert journal.durabilities.keys() == {"log"}
    assert journal.unanswered == 0
