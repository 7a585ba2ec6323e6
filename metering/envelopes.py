"""Envelopes of collectors, unwrapped: what Amazon Data Firehose and Google Cloud Pub/Sub put around events.

Both wrap what their own senders wrote in base64. What cannot be read inside of an envelope is one refused event, so
that its neighbours pass; an envelope that cannot be read is a refused body.

Source: Amazon Data Firehose, HTTP endpoint delivery request and response specifications; Pub/Sub, push subscriptions.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from aforo.kernel.errors import Problem

from .raw_events import EVENTS_MAX, RawEvents, Unreadable, too_many
from .strict_json import check_shape, read_json


def firehose_events(document: Any) -> RawEvents:
    """The events of a Firehose request; a record holds one, a list, or one a line.

    {"requestId": "ed4a…", "timestamp": 1578090901599, "records": [{"data": "eyJtZXRyaWMiOiAi…"}]}
    Raises Problem("body_unreadable").
    """
    records = document.get("records") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise Problem("body_unreadable", "A Firehose request is an object with a list `records`.")
    events = RawEvents()
    for record in records:
        events += _contents(record.get("data") if isinstance(record, dict) else None)
        # Before the next record is read: each may hold as many as a whole body.
        if len(events) > EVENTS_MAX:
            raise too_many()
    return events


def pubsub_events(document: Any) -> RawEvents:
    """The events of a Pub/Sub push; their key, where they have none, is the message's id.

    {"message": {"data": "eyJtZXRyaWMiOiAi…", "messageId": "2070443601311540"}, "subscription": "projects/…"}
    Raises Problem("body_unreadable").
    """
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, dict):
        raise Problem("body_unreadable", "A Pub/Sub push is an object with an object `message`.")
    events = RawEvents(_contents(message.get("data")))
    events.is_single = len(events) == 1
    message_id = message.get("messageId") or message.get("message_id")
    events.key = message_id if isinstance(message_id, str) else None
    return events


def _contents(data: Any) -> list[Any]:
    """What base64 holds: JSON, or JSON a line. A text that is neither is one unreadable event for each wrong line."""
    if not isinstance(data, str):
        return [Unreadable("has no data", "")]
    try:
        content = b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return [Unreadable.of("is not base64", data.encode(errors="replace"))]
    try:
        value = _json(content)
    except Problem:
        lines = [line for line in content.split(b"\n") if line.strip(b" \t\r")]
        return [_line(line) for line in lines] or [Unreadable("has no data", "")]
    return value if isinstance(value, list) else [value]


def _line(line: bytes) -> Any:
    try:
        return _json(line)
    except Problem as problem:
        return Unreadable.of(f"is not readable: {problem.detail}", line)


def _json(content: bytes) -> Any:
    check_shape(content)
    return read_json(content)
