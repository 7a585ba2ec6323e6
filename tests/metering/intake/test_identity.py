"""Identity: what makes two requests one event."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.event import UsageEvent
from metering.intake.identity import Identity, generated_key, identity_of, judge

from ..builders import accepted, event

STORED_AS = 1000


def stored(first: UsageEvent) -> Identity:
    return Identity(first.fingerprint, first.client_time, STORED_AS)


def judged(first: dict[str, Any], second: dict[str, Any], intake_id: int = 2000) -> str:
    """What the second event is once the first is stored, received as another intake."""
    # Received an hour apart, as a retry is: defaults of time differ.
    later = accepted(second, received_at=accepted(event()).timestamp.replace(hour=13))
    return judge(stored(accepted(first)), later, intake_id)


@pytest.mark.promise("P22", "P67")
def test_the_first_event_under_a_key_is_new() -> None:
    assert judge(None, accepted(event()), 1) == "new"


@pytest.mark.promise("P22", "P23", "P67", "P99")
def test_the_same_event_again_is_a_duplicate() -> None:
    assert judged(event(), event()) == "duplicate"


@pytest.mark.promise("P22", "P67")
def test_a_retry_without_a_timestamp_is_a_duplicate_in_every_combination() -> None:
    with_time, without = event(), event(timestamp=...)
    assert judged(without, without) == "duplicate"
    assert judged(without, with_time) == "duplicate"
    assert judged(with_time, without) == "duplicate"


def test_two_times_that_clients_sent_must_be_equal() -> None:
    other = event(timestamp="2026-03-15T11:58:59.999999Z")
    assert judged(event(), other) == "conflict"
    # The same instant in another zone is the same time.
    assert judged(event(), event(timestamp="2026-03-15T17:29:00+05:30")) == "duplicate"


@pytest.mark.promise("P99")
@pytest.mark.parametrize(
    "change",
    [
        {"metric": "balance"},
        {"quantity": "2"},
        {"quantity": "1.0000001"},
        {"properties": {"model": "b"}},
        {"properties": {}},
        {"colour": "red"},
    ],
)
def test_other_content_under_the_same_key_is_a_conflict(change: dict[str, Any]) -> None:
    first = event(properties={"model": "a"})
    assert judged(first, {**first, **change}) == "conflict"
    assert judged(first, {**first, **change, "timestamp": None}) == "conflict"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"quantity": "1"}, {"quantity": 1}),
        ({"quantity": "1"}, {"quantity": "1.00"}),
        ({"quantity": "1000"}, {"quantity": "1e3"}),
        ({"quantity": "0"}, {"quantity": "-0"}),
        ({"quantity": ...}, {"quantity": 1}),
        ({"metric": ..., "event": "api.call"}, {}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": 2}, {"properties": {"b": 2, "a": 1}}),
        ({"a": 1.0}, {"a": 1}),
        ({"source": "sdk-node"}, {"source": "kong"}),
    ],
)
def test_another_spelling_of_the_same_content_is_a_duplicate(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert judged(event(**one), event(**other)) == "duplicate"


def test_the_same_intake_again_is_a_copy_and_no_duplicate() -> None:
    first = accepted(event())
    assert judge(stored(first), first, STORED_AS) == "copy"


@given(
    st.recursive(st.integers() | st.text('ab"\\é'), lambda x: st.dictionaries(st.text("ab"), x), max_leaves=8)
)
def test_fingerprints_are_signed_64_bit_and_the_same_for_the_same_content(value: Any) -> None:
    # Read twice from different bytes: keys in reverse order, other white space.
    raw = event(properties={"value": value, "z": 1})
    turned = json.dumps(dict(reversed(raw.items())), indent=1, ensure_ascii=False).encode()
    one, other = accepted(raw), accepted(turned)
    assert one == other
    assert -(2**63) <= one.fingerprint < 2**63


def test_identity_is_16_bytes_of_sha_256_of_the_key() -> None:
    assert identity_of("req_7f2a") == hashlib.sha256(b"req_7f2a").digest()[:16]
    assert accepted(event()).identity == identity_of("req_7f2a")
    assert generated_key(255) == "gen_00000000000000ff"


def test_the_fingerprint_is_pinned_because_stored_ones_must_stay_comparable() -> None:
    one = accepted(event(quantity="2.50", properties={"model": "gpt-4o", "n": 1.5}))
    content = b'["cust_abc","api.call","2.5",{"model":"gpt-4o","n":"1.5"}]'
    assert one.fingerprint == int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)
