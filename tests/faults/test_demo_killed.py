"""kill -9 of web, writer and worker in the middle of a replay: no event lost, none twice, the same invoice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aforo.console.demo import KEY_PREFIX, RECORDING, RECORDING_FORM
from aforo.runtime.process import wait_until
from aforo.runtime.services import endpoints_read
from aforo.runtime.valkey import command
from metering.log import stream_of
from tests.e2e.runs import Run, running
from tests.runtime.builders import PROJECT, python_environment

# On a busy machine each start of everything takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 10_000
# Small, so that there is a middle: 100 requests instead of 10.
BATCH = 100


def batches_in_log(run: Run) -> int:
    """How many requests the log has taken; asked of the log itself, which answers while web and writer are dead."""
    url = endpoints_read(run.home)["environment"]["LOG_REDIS_URL"]
    return int(command(url, "XLEN", stream_of(0)))


@contextmanager
def replaying(run: Run, month: str) -> Iterator[subprocess.Popen[str]]:
    """`manage.py replay` from another shell, as the demo calls it but for the size of a batch."""
    words = [sys.executable, "-m", "aforo.runtime", "with-app", "--home", str(run.home), "--", "manage.py"]
    process = subprocess.Popen(
        [
            *words, "replay", str(RECORDING), f"--format={RECORDING_FORM}", "--customer=cust_abc",
            f"--into={month}", f"--key-prefix={KEY_PREFIX}", f"--rows={ROWS}", f"--batch={BATCH}", "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=python_environment(),
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.promise("P22", "P23", "P27", "P88")
def test_kills_in_the_middle_of_a_replay_change_nothing(tmp_path):
    with running(tmp_path / "home") as run:
        month = json.loads(run.manage("demo_seed", "--json").stdout)["month"]
        with replaying(run, month) as replay:
            for share, name in enumerate(("web", "writer", "worker", "web", "writer"), start=1):
                wanted = ROWS // BATCH * share // 8
                assert wait_until(lambda: batches_in_log(run) >= wanted, 60)  # noqa: B023 - called before the next turn
                assert replay.poll() is None
                # The sender stands still, a request under way, until another takes the place of what is killed: a quick
                # one would be through by then.
                os.killpg(replay.pid, signal.SIGSTOP)
                assert batches_in_log(run) < ROWS // BATCH
                run.kill(name)
                os.killpg(replay.pid, signal.SIGCONT)
            out, err = replay.communicate(timeout=120)
            assert replay.returncode == 0, err
            answer = json.loads(out)
            assert (answer["rows"], answer["refused"]) == (ROWS, 0)
            # Some batches were sent more than once.
            assert answer["attempts"] > ROWS // BATCH

        # Sends all of it once more, bills, and prints what an undisturbed run prints (tests/e2e/test_demo.py).
        demo = run.manage("demo", "--rows", str(ROWS), "--json")
        assert demo.returncode == 0, demo.stderr
        answer = json.loads(demo.stdout)
        assert answer["events_stored"] == ROWS
        assert answer["conservation"] == {
            "received": ROWS,
            "accepted": 0,
            "duplicates": ROWS,
            "dead_letters": 0,
        }
        assert (answer["invoice"]["subtotal"], answer["invoice"]["total"]) == ("95.78", "99.07")
        # Retried batches that had arrived are duplicates, and every one of them is counted.
        _, conservation = run.get("/v1/usage/conservation")
        assert conservation["accepted"] == ROWS
        assert conservation["dead_letters"] == 0
        assert conservation["received"] == ROWS + conservation["duplicates"]
