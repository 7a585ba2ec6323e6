"""A submission as the bytes of one log entry, and back."""

from __future__ import annotations

import msgspec

from .event import Submission

# The first byte names the form, so that a log written by yesterday's version is read, not guessed at.
_FORM = b"\x01"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Submission)


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
