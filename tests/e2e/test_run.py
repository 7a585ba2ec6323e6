"""`make run`: one command, a first call that can be pasted, everything back after every kill, nothing left at the end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from aforo.runtime.process import wait_until
from tests.e2e.runs import running

# On a busy machine each start of everything takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def bystander():
    """A program that nobody here may touch."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield
    assert program.poll() is None
    program.kill()
    program.wait()


@pytest.mark.promise("P03", "P09", "P10", "P88")
def test_from_nothing_to_a_metered_event_through_kills_and_a_restart(tmp_path, bystander):
    with running(tmp_path / "home") as run:
        answer = subprocess.run(["bash", "-c", run.curl], capture_output=True, text=True, check=True)
        assert answer.stdout.startswith("HTTP/1.1 202 Accepted\n")
        key = event_key(answer.stdout)
        assert wait_until(lambda: run.get(f"/v1/events/{key}")[1].get("status") == "stored", 10)
        assert seen(run, key) == ("api.call", "cust_abc", "1", {"endpoint": "/v1/search"})

        assert seconds_until_refused(run) < 1

        for name in ("web", "writer", "worker", "beat", "postgres", "log", "cache"):
            run.kill(name)
        assert wait_until(lambda: run.get("/ready")[0] == 200, 20)
        assert seen(run, key) == ("api.call", "cust_abc", "1", {"endpoint": "/v1/search"})
        printed_key = run.key
        assert run.stop(signal.SIGINT) == 0

    with running(tmp_path / "home") as again:
        # The same data, the same key.
        assert again.key == printed_key
        assert seen(again, key) == ("api.call", "cust_abc", "1", {"endpoint": "/v1/search"})


def seconds_until_refused(run) -> float:
    """From the answer to a revocation until no web process takes an event under the key any more."""
    event = {"event": "api.call", "customer_id": "cust_abc"}
    _, made = run.post("/v1/api-keys", {"name": "gateway"})
    # Each of the processes knows the key by then.
    for _ in range(20):
        assert run.post("/v1/events", event, made["secret"])[0] == 202
    assert run.post(f"/v1/api-keys/{made['id']}/revoke", {})[0] == 200
    revoked_s = taken_s = time.monotonic()
    while time.monotonic() < revoked_s + 2:
        sent_s = time.monotonic()
        if run.post("/v1/events", event, made["secret"])[0] == 202:
            taken_s = sent_s
    assert run.post("/v1/events", event, made["secret"])[1]["code"] == "key_revoked"
    return taken_s - revoked_s


def event_key(answer: str) -> str:
    """The generated key, which the answer returns."""
    return json.loads(answer.split("\n\n", 1)[1])["events"][0]["idempotency_key"]


def seen(run, key):
    status, event = run.get(f"/v1/events/{key}")
    assert status == 200, event
    stored = event["event"]
    return stored["metric"], stored["customer_id"], stored["quantity"], stored["properties"]
