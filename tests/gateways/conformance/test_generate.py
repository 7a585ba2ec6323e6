"""decide.json, against the script with nothing of ours in between, and against a site as it answers over HTTP."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from aforo.kernel.errors import Problem
from entitlements.decision import Reason
from entitlements.edge.gate import Gate, Reply
from entitlements.edge.store import EdgeStore
from gateways.conformance.generate import FILE, text

SCRIPTS = Path(__file__).parents[3] / "entitlements" / "edge"
CONTENT = json.loads(FILE.read_text())
SIZE_BYTES_MAX = 300_000


@pytest.fixture
def redis(redis_empty) -> Iterator[Redis]:
    with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as client:
        yield client


def names_of(vector: dict[str, Any]) -> dict[str, Any]:
    return CONTENT["names"][vector["names"]]


def fill(redis: Redis, vector: dict[str, Any]) -> None:
    """Nothing but what the vector gives."""
    redis.flushdb()
    customer, feature, reservations = names_of(vector)["keys"]
    tenant = None if vector.get("tenant") is None else CONTENT["tenants"][vector["tenant"]]
    for key, fields in (
        (CONTENT["meta_key"], vector.get("meta")),
        (CONTENT["tenant_key"], tenant),
        (customer, vector["customer"]),
        (feature, vector["feature"]),
    ):
        if fields:
            redis.hset(key, mapping=fields)
    if vector["reservations"]:
        redis.zadd(reservations, vector["reservations"])


def test_the_file_is_what_the_decision_says():
    assert FILE.read_text() == text()
    assert FILE.stat().st_size < SIZE_BYTES_MAX


def test_every_reason_is_there():
    decisions = [vector["answer"] for vector in CONTENT["vectors"] if "ask" in vector]
    assert {reason for _, reason, *_ in decisions} == {reason.value for reason in Reason}
    # Nothing known, and let through by the policy.
    assert {(1, "UNKNOWN_CUSTOMER"), (1, "UNKNOWN_FEATURE"), (1, "NOT_ENTITLED")} <= {
        (allowed, reason) for allowed, reason, *_ in decisions
    }


@pytest.mark.promise("P83", "P89")
def test_the_scripts_answer_and_leave_what_the_file_says(redis):
    decide = redis.register_script((SCRIPTS / "decide.lua").read_text())
    end = redis.register_script((SCRIPTS / "reservation.lua").read_text())
    for vector in CONTENT["vectors"]:
        fill(redis, vector)
        customer, feature, reservations = keys = names_of(vector)["keys"]
        script, of = (decide, keys) if "ask" in vector else (end, keys[1:])
        assert script(keys=of, args=vector["argv"]) == vector["answer"], vector
        left = vector["left"]
        assert redis.hgetall(customer) == (vector["customer"] or {}) | left.get("customer", {}), vector
        assert redis.hgetall(feature) == (vector["feature"] or {}) | left.get("feature", {}), vector
        found = dict(redis.zrange(reservations, 0, -1, withscores=True))
        assert found == left.get("reservations", vector["reservations"] or {}), vector


def called(redis: Redis, vector: dict[str, Any], *, is_enforced: bool = False) -> Reply | Problem:
    """What a site answers that has what the vector gives."""
    fill(redis, vector)
    store = EdgeStore(os.environ["REDIS_URL"])
    # Half a millisecond later, so that no fraction of a float falls below the instant.
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=vector["now_ms"], microseconds=500)
    gate, tenant = Gate(store, clock=lambda: at), names_of(vector)["tenant"]
    try:
        if "ask" in vector:
            return gate.can_access(tenant, json.dumps(vector["ask"]).encode(), is_enforced=is_enforced)
        end = gate.settled if vector["end"] == "settle" else gate.release
        return end(tenant, vector["reservation"])
    except Problem as problem:
        return problem
    finally:
        store.redis.close()


def without_nonce(document: dict[str, Any]) -> dict[str, Any]:
    """A reservation's id ends with what chance gave it; everything else of it is the vector's."""
    if "reservation" not in document:
        return document
    packed = document["reservation"]["id"].removeprefix("rsv_")
    id, *names = base64.urlsafe_b64decode(packed + "==").decode().split("\n")
    made = {**document["reservation"], "id": [id.rpartition(".")[0], *names]}
    return {**document, "reservation": made}


@pytest.mark.promise("P89")
def test_a_site_answers_over_http_what_the_file_says(redis, monkeypatch):
    # Nobody hands out units here.
    monkeypatch.setattr("entitlements.edge.gate.LEASE_WAIT_S", 0)
    for vector in CONTENT["vectors"]:
        answer = called(redis, vector)
        if "end" in vector:
            document = answer.document() if isinstance(answer, Problem) else answer.document
            assert document == vector["body"], vector
            continue
        assert answer.headers == vector["headers"], vector
        assert without_nonce(answer.document) == without_nonce(vector["body"]), vector
        assert redis.smembers(CONTENT["wants_key"]) == ({vector["want"]} if vector["want"] else set()), vector
        if "refusal" in vector:
            problem = called(redis, vector, is_enforced=True)
            facts = {name: getattr(problem, name) for name in ("status", "code", "detail")}
            assert facts == vector["refusal"], vector
