"""Intake as a whole: the order of its steps, one event through every door, and anything at all sent to it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import PROBLEMS, Problem
from metering.event import Accepted, Refused
from metering.intake import STEPS, accept
from metering.intake.schema import ALIASES
from metering.packing import submission_pack, submission_unpack

from ..builders import FULL, FixedDirectory, accepted, event, refused, submission, verdicts


def test_the_steps_stand_in_their_order() -> None:
    assert [step.__module__.rpartition(".")[2] for step in STEPS] == [
        "schema",
        "timestamp",
        "identity",
        "enrichment",
    ]
    wrong_in_every_way = event(
        quantity="x", timestamp="9999-01-01T00:00:00Z", metric="nope", customer_id="nope"
    )
    assert refused(wrong_in_every_way).refusal.code == "field_invalid"
    assert refused({**wrong_in_every_way, "quantity": "-1"}).refusal.code == "timestamp_in_future"
    right_in_time = {**wrong_in_every_way, "quantity": "-1", "timestamp": None}
    assert refused(right_in_time).refusal.code == "metric_unknown"
    assert refused({**right_in_time, "metric": "api.call"}).refusal.code == "customer_unknown"


def test_one_event_through_every_door_is_one_event() -> None:
    plain = accepted(FULL)
    camel = {ALIASES[field][-1]: value for field, value in FULL.items()}
    assert accepted(camel) == plain
    assert accepted([FULL]) == plain
    assert accepted({"events": [FULL]}) == plain
    assert accepted(json.dumps(FULL).encode() + b"\n", content_type="application/x-ndjson") == plain
    meter = {**event(customer_id=...), "tenantId": "cust_abc"}
    assert accepted(meter, door="meter") == plain
    one = accept(FULL, 0, submission(b""), FixedDirectory(), is_single=True)
    assert one == Accepted(plain, False)


def test_the_writer_comes_to_the_same_verdicts_from_the_log() -> None:
    body = [FULL, event(idempotency_key=...), event(metric="nope"), 5, event(timestamp=...)]
    received = submission(body, source="kong", idempotency_header="h")
    read = submission_unpack(submission_pack(received))
    assert read == received
    assert verdicts(body, source="kong", idempotency_header="h") == verdicts(
        read.body, source=read.source, idempotency_header=read.idempotency_header
    )


def test_a_compound_request_becomes_events_with_their_keys() -> None:
    request = {
        "correlationId": "corr-1",
        "customerId": "cust_abc",
        "occurredAt": "2026-03-15T11:00:00Z",
        "metadata": {"model": "gpt-4o"},
        "measurements": [
            {"metricName": "api.call", "quantity": 2},
            {"metricName": "balance", "quantity": "-5", "dimensionKey": "eu"},
            {"metricName": "nope", "quantity": 1},
            {"metricName": 7},
        ],
    }
    first, second, third, fourth = verdicts(request, door="compound")
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert isinstance(third, Refused)
    assert isinstance(fourth, Refused)
    assert (first.event.idempotency_key, first.event.quantity) == ("corr-1:api.call", 2)
    assert first.event.properties == {"model": "gpt-4o", "correlationId": "corr-1"}
    assert second.event.idempotency_key == "corr-1:balance:eu"
    assert second.event.properties["dimensionKey"] == "eu"
    assert (third.refusal.code, third.idempotency_key) == ("metric_unknown", "corr-1:nope")
    assert fourth.refusal.code == "field_invalid"


# Anything at all -------------------------------------------------------------------------------------------

names = st.sampled_from(
    [name for group in ALIASES.values() for name in group] + ["tenantId", "specversion", "x"]
)
texts = st.text() | st.sampled_from(
    ["cust_abc", "api.call", "acme_corp", "1.0", "2026-03-15T11:00:00Z", "1e400"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(), inner, max_size=4),
    max_leaves=12,
)
options: dict[str, Any] = {
    "is_strict": st.booleans(),
    "door": st.sampled_from(["events", "meter", "compound"]),
    "content_type": st.sampled_from(
        [
            None,
            "application/json",
            "application/x-ndjson",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
        ]
    )
    | st.text(),
    "idempotency_header": st.none() | st.text(),
    "tenant_header": st.none() | st.just("acme_corp") | st.text(),
    "source": st.none() | st.just("kong") | st.text(),
    "attributes": st.just(()) | st.just((("ce-specversion", "1.0"), ("ce-id", "%FF%00"))),
}


def judge_anything(body: bytes, chosen: dict[str, Any]) -> None:
    try:
        results = verdicts(body, **chosen)
    except Problem as problem:
        json.dumps(problem.document()).encode()
        return
    for result in results:
        if isinstance(result, Refused):
            assert result.refusal.code in PROBLEMS
            document = Problem.of(result.refusal).document()
            json.dumps(document, ensure_ascii=False).encode()
            json.dumps(result.payload, ensure_ascii=False, default=str).encode()
        else:
            assert result.event.quantity.is_finite()
            assert result.event.timestamp.utcoffset() is not None
            assert 1 <= len(result.event.idempotency_key) <= 255


@given(value=st.dictionaries(names, values, max_size=6) | values, chosen=st.fixed_dictionaries(options))
def test_any_json_is_a_verdict_or_a_problem(value: Any, chosen: dict[str, Any]) -> None:
    judge_anything(json.dumps(value).encode(), chosen)


@given(changes=st.dictionaries(names, values, max_size=3), chosen=st.fixed_dictionaries(options))
def test_an_event_with_anything_in_it_is_a_verdict_or_a_problem(
    changes: dict[str, Any], chosen: dict[str, Any]
) -> None:
    judge_anything(json.dumps([{**FULL, **changes}]).encode(), chosen)


@given(body=st.binary(max_size=300), chosen=st.fixed_dictionaries(options))
def test_any_bytes_are_verdicts_or_a_problem(body: bytes, chosen: dict[str, Any]) -> None:
    judge_anything(body, chosen)
