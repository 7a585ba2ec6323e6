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
from redis.commands.core import Script

from aforo.http.problems import headers_of
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


def found(redis: Redis, vector: dict[str, Any], script: Script) -> dict[str, Any]:
    """What a script answers and leaves behind that is given what the vector gives, and nothing else."""
    fill(redis, vector)
    customer, feature, reservations = keys = names_of(vector)["keys"]
    answer = script(keys=keys if "ask" in vector else keys[1:], args=vector["argv"])
    return {
        "answer": answer,
        "customer": redis.hgetall(customer),
        "feature": redis.hgetall(feature),
        "reservations": dict(redis.zrange(reservations, 0, -1, withscores=True)),
    }


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    left = vector["left"]
    return {
        "answer": vector["answer"],
        "customer": (vector["customer"] or {}) | left.get("customer", {}),
        "feature": (vector["feature"] or {}) | left.get("feature", {}),
        "reservations": left.get("reservations", vector["reservations"] or {}),
    }


@pytest.mark.promise("P83", "P89")
def test_the_scripts_answer_and_leave_what_the_file_says(redis):
    decide = redis.register_script((SCRIPTS / "decide.lua").read_text())
    end = redis.register_script((SCRIPTS / "reservation.lua").read_text())
    for vector in CONTENT["vectors"]:
        assert found(redis, vector, decide if "ask" in vector else end) == expected(vector), vector


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if window_end and now >= window_end", "if window_end and now > window_end"),
        ("if now >= next_end", "if now > next_end"),
        ("used + quantity > limit", "used + quantity >= limit"),
        ("granted - returned - taken_here", "granted - taken_here"),
        ("2 * free < granted - returned - settled", "2 * free <= granted - returned - settled"),
        ("elseif of == lease then", "else"),
        ("'-inf', now)", "'-inf', '(' .. ARGV[1])"),
        ("(before + 1) * percent", "before * percent"),
        ("age > age_max and not is_allowing", "age > age_max"),
        ("if not is_complete then return unknown('NOT_ENTITLED') end", ""),
        ("math.ceil((window_end - now) / 1000)", "math.floor((window_end - now) / 1000)"),
    ],
)
def test_a_script_that_decides_otherwise_is_caught(redis, right, wrong):
    source = (SCRIPTS / "decide.lua").read_text()
    assert source.count(right) >= 1
    script = redis.register_script(source.replace(right, wrong))
    decisions = (vector for vector in CONTENT["vectors"] if "ask" in vector)
    assert any(found(redis, vector, script) != expected(vector) for vector in decisions)


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
            assert headers_of(problem) == vector["headers"], vector
