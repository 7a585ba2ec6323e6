"""The archive command killed again and again: a month is in the database or in its files, and never in neither."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from aforo.kernel.clock import now
from aforo.kernel.periods import month_later
from metering.archive import events_read, file_check
from metering.batch import store
from metering.models import ArchiveFile, Bucket, Event
from metering.services.archive import month_archive, month_restore
from tests.metering.rows import call, submission, tally
from tests.workspaces import workspace

from .programs import TIMES, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]

EVENTS = 20_000
OLD = month_later(now().date().replace(day=1), -6)
THEN = datetime(OLD.year, OLD.month, 10, 12, 30, tzinfo=UTC)


def archive_in_child() -> int:
    """month_archive in a forked process; returns its pid."""
    connection.close()
    pid = os.fork()
    if pid == 0:
        try:
            month_archive(month=OLD)
        finally:
            os._exit(0)
    return pid


def check(folder: Path) -> None:
    """All of the month is rows, or all of it is in files that are whole."""
    files = list(ArchiveFile.objects.all())
    if not files:
        assert Event.objects.count() == EVENTS
    else:
        assert Event.objects.count() == 0
        (file,) = files
        file_check(folder / file.path, file.sha256)
        assert sum(int(event.quantity) for event in events_read(folder / file.path)) == sum(range(EVENTS))
    (bucket,) = Bucket.objects.all()
    assert (bucket.count, bucket.sum) == (EVENTS, sum(range(EVENTS)))


@pytest.mark.promise("P22", "P27")
def test_a_month_whose_archiving_is_killed_is_never_half_gone(settings, tmp_path):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    acme = workspace()
    for start in range(0, EVENTS, 5_000):
        events = [call(f"k{n}", n, note="x" * (n % 50)) for n in range(start, start + 5_000)]
        store([submission(acme, events, received_at=THEN)])
    dice = random.Random(11)
    killed = 0
    for _ in range(12 * TIMES):
        pid = archive_in_child()
        time.sleep(dice.uniform(0.02, 0.8))
        os.kill(pid, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        check(tmp_path / "archive")
        if ArchiveFile.objects.exists():
            # It was quicker than the kill; once more from the start.
            assert month_restore(month=OLD) == EVENTS

    assert killed
    assert tally(acme) == {"received": EVENTS, "accepted": EVENTS}
    with program(
        "manage.py", "archive", "run", "--keep-months", "4", ARCHIVE_DIR=settings.ARCHIVE_DIR
    ) as last:
        assert last.wait(timeout=60) == 0
    check(tmp_path / "archive")
    assert Event.objects.count() == 0
