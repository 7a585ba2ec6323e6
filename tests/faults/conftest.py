"""What the faults are done to: a log and a disk of a test's own, and the journal of what was sent."""

from __future__ import annotations

import pytest
from django.test import override_settings

from aforo.runtime.process import port_pick
from aforo.runtime.valkey import EmbeddedValkey
from tests.workspaces import workspace

from .disks import Disk
from .journal import Journal


@pytest.fixture
def journal(transactional_db, redis_empty):
    return Journal(workspace())


@pytest.fixture
def disk(tmp_path):
    with Disk(tmp_path, mib=64) as made:
        yield made


@pytest.fixture
def own_log(tmp_path):
    """A log of this test's own, to kill and to weaken."""
    yield from _log(tmp_path)


@pytest.fixture
def log_on_disk(disk):
    """The same on a disk that can fail."""
    yield from _log(disk.path)


def _log(folder):
    server = EmbeddedValkey(folder / "log", port_pick(), "log")
    server.start()
    with override_settings(LOG_REDIS_URL=server.url):
        yield server
    server.stop()
