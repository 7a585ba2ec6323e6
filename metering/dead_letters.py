"""Dead letters: what is kept of a refused event, and the submission that sends it again.

A letter holds the event as received and the submission around it, without its body, so that a replay goes through the
same intake under the same terms: the same time of receipt, strictness, headers and intake id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from aforo.kernel.errors import Problem, Refusal

from .decoding import CLOUD_EVENT, decode
from .event import REFUSED_BODY_BYTES_MAX, Refused, RefusedBody, Submission
from .intake.cloud_events import FIELDS as CLOUD_EVENT_FIELDS
from .intake.cloud_events import is_cloud_event, plain_event_of
from .intake.schema import SOURCE_DEFAULT, TEXT_LENGTH_MAX, names_at
from .mapping import TEXT, mapped
from .models import DeadLetter, DeadLetterStatus
from .staging import copy_in, escaped_lines

JSON = "application/json"

# Numbers stay numbers, exactly as sent: a replay must come to the same fingerprint.
_json = msgspec.json.Encoder(decimal_format="number")


def letter_of(refused: Refused, submission: Submission) -> DeadLetter:
    """The letter of one refused event of a submission."""
    payload = _json.encode(refused.payload)
    sent = _as_sent(refused.payload, submission)
    return DeadLetter(
        **_shared(submission, refused.refusal),
        intake_id=submission.intake_id_of(refused.index),
        status=DeadLetterStatus.HELD if refused.is_held else DeadLetterStatus.NEW,
        idempotency_key=refused.idempotency_key or "",
        customer=sent.get("customer_id", ""),
        metric=sent.get("metric", ""),
        payload=payload,
        payload_length=len(payload),
        payload_sha256=sha256(payload).hexdigest(),
        content_type=CLOUD_EVENT if _is_cloud_event(refused.payload, submission) else JSON,
        envelope={
            # A measurement of a compound request stands in its payload with all that the request said about it.
            "door": "meter" if submission.door == "meter" else "events",
            "is_strict": submission.is_strict,
            "source": submission.source,
            # Its own, or made of a header or an envelope with the event's place behind it: header:3.
            "idempotency_header": refused.idempotency_key or None,
            "tenant_header": submission.tenant_header,
            "attributes": [],
            "mapping": None if submission.mapping is None else dict(submission.mapping),
        },
        source=sent.get("source") or _short(submission.source or SOURCE_DEFAULT),
    )


def letter_of_body(why: RefusedBody, submission: Submission) -> DeadLetter:
    """The one letter of a body that cannot be read; the submission's body is its first 64 KiB."""
    return DeadLetter(
        **_shared(submission, Refusal(why.code, why.detail, why.facts)),
        intake_id=submission.intake_id,
        payload=submission.body[:REFUSED_BODY_BYTES_MAX],
        payload_length=why.length,
        payload_sha256=why.sha256,
        content_type=_short(submission.content_type or ""),
        envelope={
            # A person corrects what was inside of an envelope, without it.
            "door": submission.door if submission.door in ("meter", "compound") else "events",
            "is_strict": submission.is_strict,
            "source": submission.source,
            "idempotency_header": submission.idempotency_header,
            "tenant_header": submission.tenant_header,
            "attributes": [list(pair) for pair in submission.attributes],
        },
        source=_short(submission.source or SOURCE_DEFAULT),
    )


def replay_of(letter: DeadLetter, payload: bytes | None = None) -> Submission:
    """The letter's event as a submission of its own, received when the letter's was.

    payload: the event as edited by a person; None for as it was received.
    """
    envelope = letter.envelope
    return Submission(
        tenant_id=letter.tenant_id,
        tenant_slug=letter.tenant.slug,
        api_key_id=str(letter.api_key_id) if letter.api_key_id else None,
        received_at=letter.received_at,
        intake_id=letter.intake_id,
        body=bytes(letter.payload) if payload is None else payload,
        source=envelope["source"],
        idempotency_header=envelope["idempotency_header"],
        is_strict=envelope["is_strict"],
        door=envelope["door"],
        content_type=letter.content_type or None,
        attributes=tuple((name, value) for name, value in envelope["attributes"]),
        tenant_header=envelope["tenant_header"],
        mapping=envelope.get("mapping"),
    )


def renamed(submission: Submission, names: Mapping[str, str]) -> Submission:
    """The submission of a letter's event with other names in it, such as {"metric": "api.call"}.

    What is no readable event stays as it is.
    """
    if not names:
        return submission
    if submission.mapping is not None:
        texts = {field: f"{TEXT}{name}" for field, name in names.items()}
        return msgspec.structs.replace(submission, mapping={**submission.mapping, **texts})
    try:
        raws = decode(submission)
    except Problem:
        return submission
    if len(raws) != 1 or not isinstance(raws[0], dict):
        return submission
    raw = dict(raws[0])
    for field, name in names.items():
        raw[_name_of(field, raw, submission)] = name
    return msgspec.structs.replace(submission, body=_json.encode(raw))


def letters_file(letters: Sequence[DeadLetter]) -> None:
    """Insert letters, inside the caller's transaction; one whose intake id is filed already changes nothing.

    10,000 letters take 0.6 s, where the ORM's bulk insert takes 6.
    """
    if not letters:
        return
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        copy_in(cursor, f"metering_letter_staging ({_COLUMNS})", map(_line, letters))
        cursor.execute(_FILE)


def letters_change(letters: Sequence[DeadLetter]) -> None:
    """Write what a replay changes of letters, in one statement: a fifth of the time that bulk_update takes."""
    columns = [
        [letter.pk for letter in letters],
        [letter.status for letter in letters],
        [letter.code for letter in letters],
        [letter.detail for letter in letters],
        [_json.encode(letter.facts).decode() for letter in letters],
        [letter.attempts for letter in letters],
        [_json.encode(letter.result).decode() for letter in letters],
        [letter.actor for letter in letters],
        [letter.changed_at for letter in letters],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_CHANGE, columns)


_CHANGE = """
UPDATE metering_deadletter AS letter SET
    status = changed.status, code = changed.code, detail = changed.detail, facts = changed.facts::jsonb,
    attempts = changed.attempts, result = changed.result::jsonb, actor = changed.actor, changed_at = changed.changed_at
FROM unnest(
    %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::text[], %s::text[], %s::timestamptz[]
) AS changed (id, status, code, detail, facts, attempts, result, actor, changed_at)
WHERE letter.id = changed.id
"""
_FIELDS = DeadLetter._meta.concrete_fields
_COLUMNS = ", ".join(field.column for field in _FIELDS)
_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS metering_letter_staging (LIKE metering_deadletter) ON COMMIT DELETE ROWS;
DELETE FROM metering_letter_staging
"""
_FILE = f"""
INSERT INTO metering_deadletter ({_COLUMNS}) SELECT {_COLUMNS} FROM metering_letter_staging ORDER BY tenant_id, intake_id
ON CONFLICT DO NOTHING
"""


def _line(letter: DeadLetter) -> str:
    """A row of metering_letter_staging as COPY reads it."""
    return "\t".join([_cell(getattr(letter, field.attname)) for field in _FIELDS])


def _cell(value: Any) -> str:
    match value:
        case str():
            return escaped_lines(value)
        case None:
            return "\\N"
        case dict():
            return escaped_lines(_json.encode(value).decode())
        case bytes():
            return f"\\\\x{value.hex()}"
        case _:
            return str(value)


def _shared(submission: Submission, refusal: Refusal) -> dict[str, Any]:
    return {
        "tenant_id": submission.tenant_id,
        "code": refusal.code,
        "detail": refusal.detail,
        "facts": dict(refusal.facts),
        "api_key_id": UUID(submission.api_key_id) if submission.api_key_id else None,
        "received_at": submission.received_at,
    }


def _name_of(field: str, raw: Mapping[str, Any], submission: Submission) -> str:
    """The name under which a raw event says a field; of several, the one that counts."""
    if is_cloud_event(raw, submission.content_type):
        return next(name for name, its_field in CLOUD_EVENT_FIELDS.items() if its_field == field)
    names = names_at(submission.door)
    said = [name for name in raw if raw[name] is not None and names.get(name, ("",))[0] == field]
    return min(said, key=lambda name: names[name][1], default=field)


def _as_sent(raw: Any, submission: Submission) -> dict[str, str]:
    """Those fields of a raw event that are texts, under our names; the first alias in order counts."""
    if not isinstance(raw, dict):
        return {}
    if submission.mapping is not None:
        raw = mapped(raw, submission.mapping)
    elif _is_cloud_event(raw, submission):
        raw = plain_event_of(raw, {})
    names = names_at(submission.door)
    ranked = sorted((names[name][1], names[name][0], value) for name, value in raw.items() if name in names)
    found: dict[str, str] = {}
    for _, field, value in ranked:
        if isinstance(value, str):
            found.setdefault(field, _short(value))
    return found


def _is_cloud_event(raw: Any, submission: Submission) -> bool:
    return (
        isinstance(raw, dict) and submission.mapping is None and is_cloud_event(raw, submission.content_type)
    )


def _short(text: str) -> str:
    return text[:TEXT_LENGTH_MAX]
