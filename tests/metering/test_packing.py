"""A submission survives the log unchanged, and a broken entry is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.event import INTAKE_ID_MASK, Submission
from metering.packing import EntryUnreadable, submission_pack, submission_unpack

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
    for entry in (noise, b"\x01" + noise):
        with pytest.raises(EntryUnreadable):
            submission_unpack(entry)


def test_the_intake_ids_of_a_body_follow_each_other_and_wrap() -> None:
    assert submission(intake_id=5).intake_id_of(3) == 8
    assert submission(intake_id=INTAKE_ID_MASK).intake_id_of(1) == 0
