import os
import signal
import subprocess
import sys

import pytest

from metering.spool import Spool, SpoolFull, spool_bytes, spool_drain

MIB = 1024 * 1024


def drained(folder):
    entries = []
    spool_drain(folder, entries.extend)
    return entries


def test_what_was_kept_is_drained_once_and_in_order(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    for number in range(5):
        spool.append(b"entry %d" % number)

    assert drained(tmp_path) == [b"entry %d" % number for number in range(5)]
    assert drained(tmp_path) == []
    assert spool_bytes(tmp_path) == 0


def test_a_record_torn_by_a_crash_is_passed_over(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append(b"whole")
    spool.append(b"torn" * 10)
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 3)

    assert drained(tmp_path) == [b"whole"]


def test_a_flipped_byte_ends_the_file_there(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append(b"whole")
    spool.append(b"flipped")
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    assert drained(tmp_path) == [b"whole"]


def test_the_bound_refuses_and_drops_nothing(tmp_path):
    spool = Spool(tmp_path, bytes_max=100)
    spool.append(b"x" * 50)
    with pytest.raises(SpoolFull):
        spool.append(b"y" * 50)
    spool.append(b"z")

    assert drained(tmp_path) == [b"x" * 50, b"z"]


def test_a_drain_that_fails_leaves_the_file(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append(b"entry")

    def refuse(entries):
        raise ConnectionError("the store is away")

    with pytest.raises(ConnectionError):
        spool_drain(tmp_path, refuse)

    assert drained(tmp_path) == [b"entry"]


def test_a_spool_that_was_drained_takes_more(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append(b"before")
    assert drained(tmp_path) == [b"before"]

    spool.append(b"after")

    assert drained(tmp_path) == [b"after"]


def test_an_append_during_a_drain_is_kept_for_the_next(tmp_path):
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append(b"before")

    spool_drain(tmp_path, lambda entries: spool.append(b"meanwhile"))

    assert drained(tmp_path) == [b"meanwhile"]


APPENDER = """
import sys
from pathlib import Path
from metering.spool import Spool
spool = Spool(Path(sys.argv[1]), bytes_max=10_000_000)
for number in range(1_000_000):
    spool.append(b"entry %d" % number)
    print(number, flush=True)
"""


@pytest.mark.promise("P27")
def test_every_acknowledged_entry_survives_kill_9(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(200):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = 200 + len(process.stdout.read().split())
    process.wait()

    entries = drained(tmp_path)

    # One more may have reached the disk without its acknowledgement reaching us.
    assert len(entries) in (acknowledged, acknowledged + 1)
    assert entries[:acknowledged] == [b"entry %d" % number for number in range(acknowledged)]
