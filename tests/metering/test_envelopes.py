"""Collector envelopes: what Firehose and Pub/Sub put around events, taken off again."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from aforo.kernel.errors import Problem
from metering.decoding import EVENTS_MAX, decode
from metering.event import Door
from metering.raw_events import Unreadable

from .builders import accepted, event, fields_in_error, refused, submission, verdicts

FIREHOSE: dict[str, Any] = {"door": "firehose", "idempotency_header": "ed4acda5"}
PUBSUB: dict[str, Any] = {"door": "pubsub"}


def packed(content: Any) -> str:
    return b64encode(content if isinstance(content, bytes) else json.dumps(content).encode()).decode()


def firehose(*contents: Any) -> dict[str, Any]:
    records = [{"data": packed(content)} for content in contents]
    return {"requestId": "ed4acda5", "timestamp": 1578090901599, "records": records}


def pubsub(content: Any, **more: Any) -> dict[str, Any]:
    message = {"data": packed(content), "messageId": "2070443601311540", "attributes": {"k": "v"}, **more}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def test_a_record_holds_one_event_a_list_or_one_a_line() -> None:
    lines = b'{"id":"c"}\n\r\n{"id":"d"}\n'
    events = decode(submission(firehose({"id": "a"}, [{"id": "b"}], lines), **FIREHOSE))
    assert [raw["id"] for raw in events] == ["a", "b", "c", "d"]


def test_without_a_key_it_is_the_requests_id_and_the_place_so_that_a_retry_is_known() -> None:
    bare = event(idempotency_key=...)
    body = firehose([bare, event(idempotency_key="own")], bare)
    keys = [one.event.idempotency_key for one in verdicts(body, **FIREHOSE)]
    assert keys == ["ed4acda5:0", "own", "ed4acda5:2"]
    assert verdicts(firehose(bare), **FIREHOSE)[0].event.idempotency_key == "ed4acda5:0"


def test_a_messages_id_is_the_key_of_an_event_without_one() -> None:
    bare = event(idempotency_key=...)
    assert accepted(pubsub(bare), **PUBSUB).idempotency_key == "2070443601311540"
    assert accepted(pubsub(bare, messageId=None, message_id="7"), **PUBSUB).idempotency_key == "7"
    assert accepted(pubsub(event()), **PUBSUB).idempotency_key == "req_7f2a"
    keys = [one.event.idempotency_key for one in verdicts(pubsub([bare, bare]), **PUBSUB)]
    assert keys == ["2070443601311540:0", "2070443601311540:1"]
    # Strict mode takes it for the event's own.
    assert accepted(pubsub(bare), **PUBSUB, is_strict=True)


@pytest.mark.parametrize(("door", "wrap"), [("firehose", firehose), ("pubsub", pubsub)])
def test_what_cannot_be_read_inside_is_one_refused_event(door: Door, wrap: Any) -> None:
    one = refused(wrap(b"metric=api.call"), door=door)
    assert fields_in_error(one) == {"event"}
    assert one.payload == "metric=api.call"
    first, second = verdicts(
        wrap(b'{"metric":\n{"id":"k","metric":"api.call","customer_id":"cust_abc"}'), door=door
    )
    assert (first.payload, second.event.idempotency_key) == ('{"metric":', "k")


def test_records_without_data_are_refused_one_by_one() -> None:
    body = {"records": [{"data": "?"}, {"data": None}, {}, 7, {"data": ""}, {"data": packed(event())}]}
    reasons = [raw.reason for raw in decode(submission(body, **FIREHOSE))[:5]]
    assert reasons == ["is not base64", *["has no data"] * 4]
    assert isinstance(decode(submission({"message": {"attributes": {}}}, **PUBSUB))[0], Unreadable)


def test_texts_in_base64_are_looked_at_for_what_no_store_keeps() -> None:
    nul = b'{"metric":"api.call","customer_id":"cust_abc","note":"a\\u0000"}'
    assert fields_in_error(refused(firehose(nul), **FIREHOSE)) == {"event"}
    assert fields_in_error(refused(pubsub(nul), **PUBSUB)) == {"event"}


@pytest.mark.parametrize("body", [[], {}, {"records": {}}, {"message": []}, 7])
@pytest.mark.parametrize("door", ["firehose", "pubsub"])
def test_what_is_no_envelope_is_no_body(body: Any, door: Door) -> None:
    with pytest.raises(Problem) as caught:
        decode(submission(body, door=door))
    assert caught.value.code == "body_unreadable"


def test_many_events_are_counted_record_by_record() -> None:
    many = b"{}\n" * (EVENTS_MAX // 2)
    assert len(decode(submission(firehose(many, many), **FIREHOSE))) == EVENTS_MAX
    with pytest.raises(Problem) as caught:
        decode(submission(firehose(many, many, b"{}"), **FIREHOSE))
    assert caught.value.code == "batch_too_large"


def test_depth_counts_inside_as_it_does_outside() -> None:
    assert verdicts(
        firehose(b'{"metric":"api.call","customer_id":"cust_abc","d":%b}' % (b"[" * 31 + b"]" * 31)),
        **FIREHOSE,
    )
    one = refused(firehose(b"[" * 100_000), **FIREHOSE)
    assert "nested more than 32 levels" in one.refusal.detail
