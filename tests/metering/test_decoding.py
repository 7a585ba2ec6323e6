"""Decoding: every shape of body, and every body that must be refused before it costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aforo.kernel.errors import Problem
from metering.decoding import BODY_BYTES_MAX, EVENTS_MAX, decode

from .builders import submission

ONE = {"event": "api.call", "customer_id": "cust_abc"}
BINARY = (("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "api.call"), ("ce-subject", "k%C3%A9"))


def problem_of(body: Any, **changes: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(submission(body, **changes))
    return caught.value


@pytest.mark.promise("P10")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/x-www-form-urlencoded",
    ],
)
def test_json_is_read_with_the_media_types_that_curl_and_clients_send(content_type: str | None) -> None:
    events = decode(submission(ONE, content_type=content_type))
    assert events == [ONE]
    assert events.is_single


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "multipart/form-data", "application/json; charset=latin-1", ";"],
)
def test_any_other_media_type_is_refused(content_type: str) -> None:
    if content_type == ";":
        assert decode(submission(ONE, content_type=content_type)) == [ONE]
    else:
        assert problem_of(ONE, content_type=content_type).code == "media_type_unsupported"


def test_a_list_and_an_envelope_are_batches() -> None:
    for body in ([ONE, ONE], {"events": [ONE, ONE]}):
        events = decode(submission(body))
        assert events == [ONE, ONE]
        assert not events.is_single
    assert not decode(submission([ONE])).is_single


def test_an_event_with_a_property_named_events_is_no_envelope() -> None:
    assert decode(submission({**ONE, "events": [1, 2]})).is_single


def test_ndjson_is_one_event_a_line() -> None:
    body = b'\xef\xbb\xbf{"a": 1}\r\n\n  \t\r\n{"a": 2}'
    assert decode(submission(body, content_type="application/x-ndjson")) == [{"a": 1}, {"a": 2}]


def test_the_line_that_cannot_be_read_is_named() -> None:
    problem = problem_of(b'{"a": 1}\n\n{"a": \n', content_type="application/x-ndjson")
    assert problem.code == "body_unreadable"
    assert problem.facts["line"] == 3


@pytest.mark.parametrize(
    ("body", "content_type"),
    [([], "application/json"), ({"events": []}, "application/json"), (b" \n ", "application/x-ndjson")],
)
def test_a_body_without_events_is_refused(body: Any, content_type: str) -> None:
    assert problem_of(body, content_type=content_type).code == "batch_empty"


def test_ten_thousand_events_are_read_and_one_more_is_not() -> None:
    line = b'{"a":1}\n'
    ndjson = {"content_type": "application/x-ndjson"}
    assert len(decode(submission(line * EVENTS_MAX, **ndjson))) == EVENTS_MAX
    assert problem_of(line * (EVENTS_MAX + 1), **ndjson).code == "batch_too_large"
    assert len(decode(submission([0] * EVENTS_MAX))) == EVENTS_MAX
    assert problem_of([0] * (EVENTS_MAX + 1)).code == "batch_too_large"


@pytest.mark.parametrize("body", [b"", b"5", b'"text"', b"null", b"true", b'{"events": {}}', b"\xff\xfe"])
def test_a_body_that_is_no_event_and_no_list_is_refused(body: bytes) -> None:
    assert problem_of(body).code == "body_unreadable"


def test_an_11_mib_body_and_33_levels_are_refused() -> None:
    assert problem_of(b" " * (BODY_BYTES_MAX + 1)).code == "body_too_large"
    assert problem_of(b"[" * 33 + b"]" * 33).code == "body_too_deep"


def test_cloud_events_in_three_modes() -> None:
    event = {"specversion": "1.0", "id": "1", "type": "api.call", "subject": "ké", "data": {"value": 3}}
    structured = decode(submission(event, content_type="application/cloudevents+json"))
    assert structured == [event]
    assert structured.is_single
    batched = decode(submission([event], content_type="application/cloudevents-batch+json; charset=utf-8"))
    assert batched == [event]
    assert not batched.is_single
    binary = decode(submission({"value": 3}, attributes=BINARY))
    assert binary == [event]
    assert binary.is_single
    assert "data" not in decode(submission(b"", attributes=BINARY, content_type=None))[0]


def test_cloud_events_of_the_wrong_shape_are_refused() -> None:
    assert problem_of([ONE], content_type="application/cloudevents+json").code == "body_unreadable"
    assert problem_of(ONE, content_type="application/cloudevents-batch+json").code == "body_unreadable"
    assert problem_of(b"<a/>", attributes=BINARY).code == "body_unreadable"


def test_a_compound_request_is_one_event_a_measurement() -> None:
    request = {
        "correlationId": "corr-1",
        "customerId": "cust_abc",
        "occurredAt": "2026-03-15T11:00:00Z",
        "metadata": {"model": "gpt-4o"},
        "measurements": [
            {"metricName": "llm.input_tokens", "quantity": 10},
            {"metricName": "llm.output_tokens", "quantity": 5, "dimensionKey": "eu"},
            {"metricName": "llm.calls", "metadata": {"region": "eu"}},
        ],
    }
    events = decode(submission(request, door="compound"))
    assert [event["idempotency_key"] for event in events] == [
        "corr-1:llm.input_tokens",
        "corr-1:llm.output_tokens:eu",
        "corr-1:llm.calls",
    ]
    assert events[0]["customerId"] == "cust_abc"
    assert events[0]["metadata"] == {"model": "gpt-4o"}
    assert events[2]["metadata"] == {"model": "gpt-4o", "region": "eu"}
    assert not events.is_single


def test_compound_requests_that_are_wrong() -> None:
    assert problem_of({"correlationId": "c"}, door="compound").code == "fields_missing"
    assert problem_of({"measurements": []}, door="compound").code == "batch_empty"
    assert problem_of({"measurements": {}}, door="compound").code == "body_unreadable"
    assert problem_of([], door="compound").code == "body_unreadable"
    # What is wrong with one measurement is a verdict on it, so that the others are kept.
    events = decode(
        submission({"correlationId": 5, "measurements": [7, {"metricName": "m"}]}, door="compound")
    )
    assert events == [7, {"correlationId": 5, "metricName": "m", "idempotency_key": [5, "m"]}]


def test_the_payload_of_a_dead_letter_is_the_object_as_sent() -> None:
    assert json.dumps(decode(submission({**ONE, "value": 0.1}))[0]["value"], default=str) == '"0.1"'
