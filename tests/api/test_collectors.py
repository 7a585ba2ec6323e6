"""The doors for collectors: Amazon Data Firehose and Google Cloud Pub/Sub, in their own envelopes."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.services.api_keys import api_key_create
from metering.models import DeadLetter, Event
from tests.metering.rows import call, tally

from .conftest import Api

REQUEST_ID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
BARE = {"metric": "api.call", "customer_id": "cust_abc"}


def packed(content: Any) -> str:
    return b64encode(content if isinstance(content, bytes) else json.dumps(content).encode()).decode()


def firehose(key: str | None, *contents: Any, body: bytes | None = None, **headers: str) -> Any:
    document = {
        "requestId": REQUEST_ID,
        "timestamp": 1578090901599,
        "records": [{"data": packed(content)} for content in contents],
    }
    named = {"X-Amz-Firehose-Protocol-Version": "1.0", "X-Amz-Firehose-Request-Id": REQUEST_ID}
    if key is not None:
        named["X-Amz-Firehose-Access-Key"] = key
    content = json.dumps(document).encode() if body is None else body
    return Api(None).post("/v1/ingest/firehose", content, **named, **headers)


def pubsub(content: Any, message_id: str = "2070443601311540") -> dict[str, Any]:
    message = {"data": packed(content), "messageId": message_id, "publishTime": "2026-03-15T11:59:00Z"}
    return {"message": message, "subscription": "projects/acme/subscriptions/usage"}


def test_firehose_is_answered_in_its_own_words(acme, redis_empty, stored):
    with clock_at(now()):
        answer = firehose(
            acme.key, call("k1"), b'{"id":"k2","metric":"api.call","customer_id":"cust_abc"}\n\n'
        )
        milliseconds = int(now().timestamp() * 1000)
    stored()

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"requestId": REQUEST_ID, "timestamp": milliseconds}
    assert answer["Aforo-Durability"] == "log"
    assert sorted(Event.objects.values_list("key", flat=True)) == ["k1", "k2"]
    assert Event.objects.select_related("context").first().context.source == "firehose"


def test_firehose_that_tries_again_counts_nothing_twice(acme, redis_empty, stored):
    for _ in range(2):
        assert firehose(acme.key, BARE, [BARE, BARE]).status_code == 200
        stored()

    assert tally(acme) == {"received": 6, "accepted": 3, "duplicates": 3}
    assert sorted(Event.objects.values_list("key", flat=True)) == [
        f"{REQUEST_ID}:{place}" for place in range(3)
    ]


def test_firehose_compresses_as_it_is_told_to(acme, redis_empty, stored):
    body = json.dumps({"requestId": REQUEST_ID, "timestamp": 1, "records": [{"data": packed(call("k1"))}]})
    assert firehose(acme.key, body=gzip.compress(body.encode()), Content_Encoding="gzip").status_code == 200
    stored()
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_what_firehose_brings_and_is_refused_is_a_dead_letter_and_no_reason_to_try_again(api, acme, stored):
    answer = firehose(acme.key, call("k1", customer_id="nobody"), b"no event", call("k3"))
    stored()

    assert answer.status_code == 200
    letters = DeadLetter.objects.order_by("code")
    assert [(letter.code, json.loads(bytes(letter.payload))) for letter in letters] == [
        ("customer_unknown", call("k1", customer_id="nobody")),
        ("field_invalid", "no event"),
    ]
    assert tally(acme) == {"received": 3, "accepted": 1, "dead_letters": 2}
    corrected = api.post(f"/v1/dead-letters/{letters[1].pk}/replay", {"payload": call("k2")})
    assert corrected.json()["result"]["idempotency_key"] == "k2"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "body_unreadable"),
        (b"[]", 400, "body_unreadable"),
        (b'{"records":[]}', 400, "batch_empty"),
        (b"x" * (10 * 1024 * 1024 + 1), 413, "body_too_large"),
    ],
)
def test_an_envelope_that_cannot_be_read_is_refused_in_firehoses_words(
    acme, redis_empty, stored, body, status, code
):
    answer = firehose(acme.key, body=body)
    stored()

    assert answer.status_code == status
    assert answer.json()["requestId"] == REQUEST_ID
    assert answer.json()["errorMessage"].startswith(f"{code}: ")
    assert DeadLetter.objects.get().code == code


def test_firehoses_access_key_is_an_api_key(acme, other, redis_empty, stored):
    _, reader = api_key_create(tenant=acme.tenant, name="reader", scopes=["read"])
    for key, status, code in (
        (None, 401, "key_missing"),
        ("sk_live_" + "x" * 40, 401, "key_unknown"),
        (reader, 403, "scope_missing"),
    ):
        answer = firehose(key, call("k1"))
        assert answer.status_code == status
        assert answer.json()["errorMessage"].startswith(code)
    # The usual header is not looked at.
    assert Api(acme.key).post("/v1/ingest/firehose", {"records": []}).status_code == 401
    mismatch = firehose(acme.key, call("k1"), X_Tenant_Id="other")
    assert mismatch.json()["errorMessage"].startswith("tenant_mismatch")
    no_id = Api(None, **{"X-Amz-Firehose-Access-Key": acme.key}).post("/v1/ingest/firehose", {"records": []})
    assert no_id.json()["errorMessage"].startswith("fields_missing: The header X-Amz-Firehose-Request-Id")
    assert (
        Api(None, **{"X-Amz-Firehose-Access-Key": acme.key}).get("/v1/ingest/firehose")["Allow"]
        == "POST, OPTIONS"
    )
    stored()
    assert tally(acme) == {}


def test_firehose_is_held_to_the_keys_rate(acme, redis_empty):
    _, key = api_key_create(tenant=acme.tenant, name="slow", rate_limit_per_s=1)
    answers = [firehose(key, BARE)]
    # A burst of two seconds' worth passes; a machine that is busy may let some more come in the meantime.
    while len(answers) < 50 and answers[-1].status_code == 200:
        answers.append(firehose(key, BARE))
    assert answers[-1].status_code == 429
    assert answers[-1]["Retry-After"] == "1"
    assert answers[-1].json()["errorMessage"].startswith("rate_limited")


def test_a_pubsub_message_is_an_event_with_the_messages_key(api, acme, stored):
    for _ in range(2):
        assert api.post("/v1/ingest/pubsub", pubsub(BARE)).status_code == 202
    assert api.get("/v1/events/2070443601311540").json()["status"] == "accepted"
    api.post("/v1/ingest/pubsub", pubsub(json.dumps(BARE).encode() + b"\n" + json.dumps(BARE).encode(), "7"))
    stored()

    assert sorted(Event.objects.values_list("key", flat=True)) == ["2070443601311540", "7:0", "7:1"]
    assert tally(acme) == {"received": 4, "accepted": 3, "duplicates": 1}
    assert api.get("/v1/events/7:0").json()["event"]["source"] == "pubsub"


def test_what_pubsub_brings_and_is_refused_is_acknowledged(api, acme, stored):
    answer = api.post("/v1/ingest/pubsub", pubsub({**BARE, "customer_id": "nobody"}))
    stored()

    assert (answer.status_code, answer.json()["rejected"]) == (202, 1)
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.idempotency_key) == ("customer_unknown", "2070443601311540")
    # As received, it keeps the message's key when it is sent again.
    replay = api.post(f"/v1/dead-letters/{letter.pk}/replay", {"payload": BARE}).json()
    assert replay["result"] == {
        **replay["result"],
        "outcome": "accepted",
        "idempotency_key": "2070443601311540",
    }


def test_a_pubsub_push_needs_a_bearer_key(acme, redis_empty):
    assert Api(None).post("/v1/ingest/pubsub", pubsub(BARE)).status_code == 401
    assert Api(None).post(f"/v1/ingest/pubsub?token={acme.key}", pubsub(BARE)).status_code == 401
    assert Api(acme.key).post("/v1/ingest/pubsub", {"message": 7}).status_code == 400
