"""The log killed, emptied, without power, full: what was answered 202 is kept, and the store takes its turn."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import override_settings

from aforo.runtime.output import Files
from aforo.runtime.process import wait_until as looked_until
from aforo.runtime.services import Services
from aforo.runtime.supervisor import Supervisor
from aforo.runtime.valkey import EmbeddedValkey, command
from metering.models import Event
from metering.writer import Writer

from .disks import Disk
from .journal import Journal, Sender, keys_of
from .programs import TIMES, WRITER, database_url, freeze, program, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@contextmanager
def turn_of(journal: Journal, durability: str, *, bodies: int = 10) -> Iterator[None]:
    """What is done inside is followed by so many bodies that are kept there."""
    before = journal.durabilities[durability]
    yield
    wait_until(lambda: journal.durabilities[durability] > before + bodies, f"the turn of the {durability}")


def killed(server: EmbeddedValkey) -> None:
    if server.pid is not None:
        os.kill(server.pid, signal.SIGKILL)
    assert looked_until(lambda: server.pid is None, 10)


def power_cut_and_back(disk: Disk, server: EmbeddedValkey) -> None:
    """The machine loses its power while the log writes; what runs in its memory is gone, and its disk is read again."""
    freeze([server.pid])
    disk.power_cut()
    killed(server)
    disk.power_back()
    server.start()


@pytest.mark.promise("P27", "P88")
def test_a_log_killed_and_restarted_is_bridged_by_the_store(journal, own_log):
    with program(*WRITER), Sender(journal, pause_s=0.005):
        for _ in range(2 * TIMES):
            with turn_of(journal, "log"):
                pass
            with turn_of(journal, "store"):
                killed(own_log)
            with turn_of(journal, "log"):
                own_log.start()

    journal.check()
    assert journal.durabilities.keys() == {"log", "store"}


@pytest.mark.promise("P27")
def test_a_log_killed_with_its_memory_comes_back_from_its_file_alone(journal, own_log, tmp_path):
    # No writer: what is sent exists in the log and nowhere else.
    with Sender(journal, pause_s=0.002), turn_of(journal, "log", bodies=200):
        pass
    killed(own_log)
    # Nothing of the old server but its file, and the passwords that its clients know.
    elsewhere = EmbeddedValkey(tmp_path / "elsewhere", own_log.port, "log")
    elsewhere.folder.mkdir(mode=0o700)
    for name in ("appendonlydir", "password", "password.admin"):
        shutil.move(own_log.folder / name, elsewhere.folder / name)
    elsewhere.start()
    try:
        assert not Event.objects.exists()
        journal.check()
        assert journal.durabilities.keys() == {"log"}
    finally:
        elsewhere.stop()


@pytest.mark.promise("P27")
def test_a_power_cut_takes_nothing_that_was_answered(journal, disk, log_on_disk):
    # No writer: what the log loses would be lost.
    with Sender(journal, pause_s=0.001):
        for _ in range(2 * TIMES):
            with turn_of(journal, "log", bodies=150):
                pass
            with turn_of(journal, "log"):
                power_cut_and_back(disk, log_on_disk)

    journal.check()


@pytest.mark.promise("P27", "P88")
def test_a_log_whose_disk_is_full_gives_way_and_comes_back_by_itself(journal, tmp_path):
    with Disk(tmp_path, mib=32) as disk:
        others = {"DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL}
        services = Services(disk.path / "home", environ=others)
        supervisor = Supervisor(services, (), Files(tmp_path / "logs"))
        supervisor.start()

        def ticking_until(holds, what):
            def holds_now():
                supervisor.tick()
                return holds()

            wait_until(holds_now, what)

        try:
            url = services.environment()["LOG_REDIS_URL"]
            with override_settings(LOG_REDIS_URL=url), program(*WRITER), Sender(journal, pause_s=0.002):
                ballast = disk.fill(left_bytes=200_000)
                # Some are kept in what is left, then none: the supervisor starts the log again and again, in vain.
                ticking_until(lambda: journal.durabilities["store"] > 300, "the turn of the store")
                assert "log has ended by itself" in (tmp_path / "logs" / "supervisor.log").read_text()
                kept = journal.durabilities["log"]
                ballast.unlink()
                ticking_until(lambda: journal.durabilities["log"] > kept + 100, "the turn of the log")
            with override_settings(LOG_REDIS_URL=url):
                journal.check()
        finally:
            supervisor.stop()
    assert journal.durabilities.keys() == {"log", "store"}


@pytest.mark.promise("P27")
def test_an_emptied_log_is_an_incident_and_the_check_names_what_it_took(journal, own_log, caplog):
    with Sender(journal, pause_s=0.002), turn_of(journal, "log"):
        pass
    Writer(0).drain()
    kept = len(journal.sent)
    with Sender(journal, pause_s=0.002), turn_of(journal, "log"):
        pass
    unread = range(kept, len(journal.sent))

    # Not by the application's user, who may not.
    command(own_log.admin_url, "FLUSHALL")
    with Sender(journal, pause_s=0.002), turn_of(journal, "log"):
        pass
    findings = journal.findings()

    assert "INCIDENT" in caplog.text
    # The body after them sends one of their events again.
    assert findings.lost == sorted(set(keys_of(unread)) - {f"k{unread[-1]}.0"})
    assert findings.doubled == []
    # Read from its start, and never stuck at the old place: what came afterwards is stored.
    assert set(keys_of(range(unread.stop, len(journal.sent)))) <= set(
        Event.objects.values_list("key", flat=True)
    )
