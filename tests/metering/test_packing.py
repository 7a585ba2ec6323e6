"""A submission survives the log unchanged, and a broken entry is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metering.event import INTAKE_ID_MASK, Accepted, Submission
from metering.intake import accept_all
from metering.packing import (
    EntryUnreadable,
    accepted_pack,
    accepted_unpack,
    submission_pack,
    submission_unpack,
)

from .builders import FixedDirectory

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "tenant_id": 7,
        "tenant_slug": "acme_corp",
        "api_key_id": "7f2a9c4b",
        "received_at": AT,
        "intake_id": INTAKE_ID_MASK,
        "body": b'{"event":"api.call"}\xff\x00',
    }
    return Submission(**{**fields, **changes})


def test_every_field_survives() -> None:
    full = submission(
        source="kong",
        idempotency_header="req_7f2a",
        is_strict=True,
        door="meter",
        content_type="application/json; charset=utf-8",
        attributes=(("ce-id", "1"), ("ce-type", "api.call")),
        tenant_header="acme_corp",
    )
    assert submission_unpack(submission_pack(full)) == full
    assert submission_unpack(submission_pack(submission())) == submission()


def test_the_instant_of_receipt_survives_in_any_zone() -> None:
    kolkata = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert submission_unpack(submission_pack(submission(received_at=kolkata))).received_at == AT


def test_an_entry_written_before_a_field_was_added_can_be_read() -> None:
    fields = msgspec.msgpack.decode(submission_pack(submission())[1:])
    older = b"\x01" + msgspec.msgpack.encode(fields[:6])
    assert submission_unpack(older) == submission()


@given(st.binary(max_size=64))
def test_bytes_that_are_no_entry_are_refused(noise: bytes) -> None:
    for entry in (noise, b"\x01" + noise, b"\x02" + noise, b"\x02\x10\x00\x00\x00" + noise):
        with pytest.raises(EntryUnreadable):
            submission_unpack(entry)


def test_the_intake_ids_of_a_body_follow_each_other_and_wrap() -> None:
    assert submission(intake_id=5).intake_id_of(3) == 8
    assert submission(intake_id=INTAKE_ID_MASK).intake_id_of(1) == 0


def test_a_long_entry_is_shortened_and_a_short_one_is_not() -> None:
    events = b",".join(
        b'{"event":"api.call","customer_id":"cust_abc","quantity":%d}' % n for n in range(1000)
    )
    long = submission(body=b"[" + events + b"]")
    assert len(submission_pack(long)) < len(long.body) / 5
    assert submission_unpack(submission_pack(long)) == long
    assert submission_pack(submission())[:1] == b"\x01"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.integers(-(10**30), 10**30) | st.decimals(
    allow_nan=False, allow_infinity=False, places=9, min_value=-(10**12), max_value=10**12
)
values = st.recursive(
    texts | numbers | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(texts, st.dictionaries(texts, values, max_size=4)), min_size=1, max_size=4))
def test_the_events_in_an_entry_are_those_that_intake_made_of_its_body(sent: list[tuple[str, Any]]) -> None:
    events = [
        {
            "metric": "api.call",
            "customer_id": "cust_abc",
            "quantity": f"{number}.50",
            "source": name or "rest",
        }
        | {"properties": properties}
        for number, (name, properties) in enumerate(sent)
    ]
    body = msgspec.json.Encoder(decimal_format="number").encode(events)
    verdicts = accept_all(submission(body=body), FixedDirectory())
    packed = accepted_pack(verdicts)
    if packed is None:
        assert any(type(verdict) is not Accepted for verdict in verdicts)
        return
    assert repr(accepted_unpack(packed)) == repr(verdicts)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_events_are_refused(noise: bytes) -> None:
    assume(noise.strip() != b"[")  # which with the bracket below is a body without events
    with pytest.raises(EntryUnreadable):
        accepted_unpack(noise + b"]")
