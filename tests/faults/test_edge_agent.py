"""An agent beside the real web server: cut off for a while, killed while it sends, its key revoked; nothing lost, nothing twice."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aforo.runtime.process import port_pick
from aforo.runtime.valkey import EmbeddedValkey
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke
from entitlements.edge.centre import Centre
from entitlements.edge.publisher import Publisher
from metering.models import Event
from metering.writer import Writer
from tests.entitlements.edge import shops
from tests.entitlements.edge.origins import served, set_aside
from tests.faults.programs import PATIENCE_S, kill, program, wait_until, web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BRIEF = {"tenantId": "cust_abc", "featureKey": "advanced_ai_search"}


class Agent:
    """A site on its own Redis. key: what its clients send."""

    def __init__(self, folder: Path, endpoint: str, own_key: str, key: str) -> None:
        self.folder, self.endpoint, self.own_key, self.key = folder, endpoint, own_key, key
        self.port = port_pick()
        self.redis = EmbeddedValkey(folder / "redis", port_pick(), "cache")
        self.redis.start()

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        words = (
            "manage.py", "edge", "--endpoint", self.endpoint, "--api-key", self.own_key, "--redis", self.redis.url,
            "--spool", str(self.folder / "spool"), "--listen", f"127.0.0.1:{self.port}", "--name", "berlin",
        )  # fmt: skip
        # It must come up without a database.
        with program(*words, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none") as process:
            wait_until(lambda: self.call("GET", "/health")[0] == 200, "the agent")
            yield process

    def call(
        self, method: str, path: str, document: Any = None, key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        body = None if document is None else json.dumps(document)
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"aforo_edge_{name} ")))

    def reserve(self) -> dict[str, Any]:
        return self.call("POST", "/v1/canAccess", {**BRIEF, "reserve": True, "ttl_s": 3})[1]

    def event(self, key: str) -> int:
        event = {"customer_id": "cust_abc", "event": "api.call", "idempotency_key": key}
        return self.call("POST", "/v1/events", event)[0]


@pytest.fixture
def shop(redis_empty, transactional_db):
    return shops.shop()


def stored() -> int:
    Writer(0).drain()
    return Event.objects.count()


@pytest.mark.promise("P83", "P87", "P27")
def test_a_site_that_is_cut_off_decides_and_keeps_events_until_it_is_back(tmp_path, shop):
    _, own = api_key_create(tenant=shop.tenant, name="berlin", scopes=["edge", "ingest"])
    with web() as origin, program("manage.py", "publisher"):
        agent = Agent(tmp_path, origin.url, own, shop.key)
        try:
            with agent.running():
                assert agent.call("POST", "/v1/canAccess", BRIEF)[1]["remaining"] == 450
                snapshot = agent.call("GET", "/v1/edge/entitlements/cust_abc/advanced_ai_search")[1]
                assert (snapshot["remaining"], snapshot["ttl_s"], snapshot["mode"]) == (450, 5, "snapshot")
                # By a lease that comes over HTTP; the first waits 100 ms for it, and a cold origin may take longer.
                wait_until(lambda: agent.reserve()["allowed"], "a lease")
                reserved = agent.reserve()
                assert (reserved["mode"], reserved["bound"]) == ("leased", 0)
                use = {
                    "tenantId": "cust_abc",
                    "metricKey": "api.call",
                    "reservationId": reserved["reservation"]["id"],
                }
                assert agent.call("POST", "/v1/meter", use)[0] == 202
                wait_until(lambda: stored() == 551, "the first event")
                # The other reservation ends by itself.
                wait_until(
                    lambda: agent.call("POST", "/v1/canAccess", BRIEF)[1]["remaining"] == 449, "the use"
                )
                os.killpg(origin.process.pid, signal.SIGSTOP)
                try:
                    for number in range(200):
                        assert agent.event(f"cut-{number}") == 202
                    # Ten seconds without a word, and it says so.
                    wait_until(lambda: agent.call("POST", "/v1/canAccess", BRIEF)[1]["stale"], "staleness")
                    answer = agent.call("POST", "/v1/canAccess", BRIEF)[1]
                    assert (answer["allowed"], answer["remaining"]) == (True, 449)
                    unknown = agent.call("POST", "/v1/canAccess", {**BRIEF, "tenantId": "nobody"})[1]
                    assert unknown["reason"] == "UNKNOWN_CUSTOMER"
                finally:
                    os.killpg(origin.process.pid, signal.SIGCONT)
                wait_until(lambda: stored() == 751, "what was spooled")
                # Again fresh, and with all that was used meanwhile.
                wait_until(
                    lambda: agent.call("POST", "/v1/canAccess", BRIEF)[1]["remaining"] == 249, "the usage"
                )
                # What the server knows of the site is a second old at most.
                wait_until(lambda: not agent.call("POST", "/v1/canAccess", BRIEF)[1]["stale"], "freshness")
        finally:
            agent.redis.stop()


@pytest.mark.promise("P27")
def test_an_agent_killed_while_it_sends_loses_nothing_and_sends_nothing_twice(tmp_path, shop):
    _, own = api_key_create(tenant=shop.tenant, name="berlin", scopes=["edge", "ingest"])
    Publisher().publish()
    with web() as origin:
        agent = Agent(tmp_path, origin.url, own, shop.key)
        try:
            answered = 0
            for _ in range(2):
                with agent.running() as process:
                    for number in range(100):
                        answered += agent.event(f"kill-{answered}-{number}") == 202
                    kill(process)
            assert answered == 200
            with agent.running():
                wait_until(lambda: stored() == 550 + answered, "what the killed ones had answered")
                time.sleep(1)
                assert stored() == 550 + answered
        finally:
            agent.redis.stop()


def test_a_revoked_key_is_refused_at_the_site_within_a_second(tmp_path, shop):
    _, own = api_key_create(tenant=shop.tenant, name="berlin", scopes=["edge", "ingest"])
    made, gateway = api_key_create(tenant=shop.tenant, name="gateway", scopes=["ingest"])
    publisher = Publisher()
    publisher.publish()
    with web() as origin:
        agent = Agent(tmp_path, origin.url, own, gateway)
        try:
            with agent.running():
                assert agent.call("POST", "/v1/canAccess", BRIEF)[0] == 200
                api_key_revoke(tenant=shop.tenant, key_id=made.pk)
                publisher.turn()
                revoked_s = time.monotonic()
                wait_until(lambda: agent.call("POST", "/v1/canAccess", BRIEF)[0] == 401, "the refusal")
                assert time.monotonic() - revoked_s < 1.0
                assert (
                    agent.call("POST", "/v1/canAccess", BRIEF, key=gateway[:-4] + "0000")[1]["code"]
                    == "key_unknown"
                )
        finally:
            agent.redis.stop()


@pytest.mark.promise("P27")
def test_events_wait_while_the_agents_own_key_may_not_send_them(tmp_path, shop):
    _, unscoped = api_key_create(tenant=shop.tenant, name="berlin", scopes=["edge"])
    _, own = api_key_create(tenant=shop.tenant, name="berlin too", scopes=["edge", "ingest"])
    Publisher().publish()
    with web() as origin:
        agent = Agent(tmp_path, origin.url, unscoped, shop.key)
        try:
            with agent.running():
                assert agent.event("waits") == 202
                wait_until(lambda: agent.metric("events_refused_status") == 403, "the refusal")
                assert (agent.metric("events_dead"), agent.metric("dead_bytes")) == (0, 0)
                assert agent.metric("spool_bytes") > 0
            agent.own_key = own
            with agent.running():
                wait_until(lambda: stored() == 551, "the event")
                wait_until(lambda: agent.metric("events_refused_status") == 0, "the end of the refusal")
                assert agent.metric("spool_bytes") == 0
        finally:
            agent.redis.stop()


class Relay:
    """Hands batches on to an origin, and kills their sender once the second one is there and not answered."""

    def __init__(self, origin: Centre) -> None:
        self.origin = origin
        self.batches = 0
        self.sender: subprocess.Popen[bytes] | None = None

    def events_send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        names = ("Content-Type", "Content-Encoding")
        answer = self.origin.events_send(body, {name: headers[name] for name in names})
        self.batches += 1
        if self.batches == 2:
            kill(self.sender)
        return answer


@pytest.mark.promise("P23", "P27")
def test_events_set_aside_are_sent_again_once_though_the_sender_is_killed(tmp_path, shop):
    _, own = api_key_create(tenant=shop.tenant, name="berlin", scopes=["edge", "ingest"])
    dead = set_aside(tmp_path, "2026-03-01", (f"dead-{n}" for n in range(2_500)), customer_id="cust_abc")
    words = ("manage.py", "edge_dead", "replay", "--spool", str(tmp_path), "--api-key", own, "--endpoint")
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    with web() as origin:
        relay = Relay(Centre(origin.url, own))
        with served(relay) as url, program(*words, url, DATABASE_URL=nowhere) as relay.sender:
            assert relay.sender.wait(PATIENCE_S) == -signal.SIGKILL
        # Two batches of 1,000 have arrived, and nothing of it is known here.
        assert stored() == 550 + 2_000
        assert len(dead.of_day("2026-03-01")) == 2_500
        with program(*words, origin.url, DATABASE_URL=nowhere) as again:
            assert again.wait(PATIENCE_S) == 0
        assert stored() == 550 + 2_500
        assert dead.days() == []
