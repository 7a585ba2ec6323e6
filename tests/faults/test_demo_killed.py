"""kill -9 of web, writer and worker in the middle of a replay: no event lost, none twice, the same invoice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aforo.console.demo import KEY_PREFIX, RECORDING, RECORDING_FORM
from aforo.runtime.process import wait_until
from tests.e2e.runs import Run, running
from tests.runtime.builders import PROJECT, python_environment

# On a busy machine each start of everything takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 10_000
# Small, so that there is a middle: 100 requests instead of 10.
BATCH = 100


def received(run: Run) -> int:
    status, body = run.get("/v1/usage/conservation")
    return body["received"] if status == 200 else 0


def replay_start(run: Run, month: str) -> subprocess.Popen[str]:
    """`manage.py replay` from another shell, as the demo calls it but for the size of a batch."""
    command = [sys.executable, "-m", "aforo.runtime", "with-app", "--home", str(run.home), "--", "manage.py"]
    return subprocess.Popen(
        [
            *command, "replay", str(RECORDING), f"--format={RECORDING_FORM}", "--customer=cust_abc",
            f"--into={month}", f"--key-prefix={KEY_PREFIX}", f"--rows={ROWS}", f"--batch={BATCH}", "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=python_environment(),
    )  # fmt: skip


@pytest.mark.promise("P22", "P23", "P27", "P88")
def test_kills_in_the_middle_of_a_replay_change_nothing(tmp_path):
    with running(tmp_path / "home") as run:
        month = json.loads(run.manage("demo_seed", "--json").stdout)["month"]
        replay = replay_start(run, month)
        killed_at = []
        for share, name in enumerate(("web", "writer", "worker", "web", "writer"), start=1):
            wanted = ROWS * share // 8
            assert wait_until(lambda: received(run) >= wanted or replay.poll() is not None, 60)  # noqa: B023
            killed_at.append(received(run))
            run.kill(name)
        out, err = replay.communicate(timeout=120)
        assert replay.returncode == 0, err
        answer = json.loads(out)
        assert (answer["rows"], answer["refused"]) == (ROWS, 0)
        # The kills came while it ran: some batches were sent more than once.
        assert all(count < ROWS for count in killed_at), killed_at
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
