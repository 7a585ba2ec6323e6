"""A submission as the bytes of one log entry, and back; and in it the events that intake accepted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .event import Accepted, Refused, Submission
from .strict_json import number_read

# The first byte names the form, so that a log written by yesterday's version is read, not guessed at.
_FORM = b"\x01"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Submission)
# JSON, because its numbers keep their digits: MessagePack has no decimals for the values of properties.
_accepted_encoder = msgspec.json.Encoder(decimal_format="number")
_accepted_decoder = msgspec.json.Decoder(list[Accepted], float_hook=number_read)


class EntryUnreadable(ValueError):
    """Bytes that are no log entry of a form this version knows."""


def submission_pack(submission: Submission) -> bytes:
    """The submission as bytes: one byte for the form, then MessagePack."""
    return _FORM + _encoder.encode(submission)


def submission_unpack(entry: bytes) -> Submission:
    """The submission that `submission_pack` made these bytes of.

    Raises EntryUnreadable.
    """
    if entry[:1] != _FORM:
        raise EntryUnreadable(f"a log entry starts with the form {_FORM!r}, not with {entry[:1]!r}")
    try:
        return _decoder.decode(memoryview(entry)[1:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise EntryUnreadable(f"the log entry cannot be read: {error}") from error


def accepted_pack(verdicts: Sequence[Accepted | Refused]) -> bytes | None:
    """A body's events for Submission.accepted; None where one of them was refused."""
    if all(type(verdict) is Accepted for verdict in verdicts):
        return _accepted_encoder.encode(verdicts)
    return None


def accepted_unpack(packed: bytes) -> list[Accepted]:
    """The very events that `accepted_pack` was given.

    Raises EntryUnreadable.
    """
    try:
        return _accepted_decoder.decode(packed)
    except (msgspec.MsgspecError, ValueError) as error:
        raise EntryUnreadable(f"the entry's events cannot be read: {error}") from error
