"""A submission as the bytes of one log entry, and back; and in it the events that intake accepted."""

from __future__ import annotations

from collections.abc import Sequence

import lz4.block
import msgspec

from .event import Accepted, Refused, Submission
from .strict_json import number_read

# The first byte names the form, so that a log written by yesterday's version is read, not guessed at.
_PLAIN, _LZ4 = b"\x01", b"\x02"
# A batch is a tenth as long: what the log has to write, to keep for an hour and to read. Below, the header weighs more.
_LZ4_FROM_BYTES = 2_000
# Ten times the longest body; an entry that says it is longer is none.
_BYTES_MAX = 100 * 1024 * 1024
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Submission)
# JSON, because its numbers keep their digits: MessagePack has no decimals for the values of properties.
_accepted_encoder = msgspec.json.Encoder(decimal_format="number")
_accepted_decoder = msgspec.json.Decoder(list[Accepted], float_hook=number_read)


class EntryUnreadable(ValueError):
    """Bytes that are no log entry of a form this version knows."""


def submission_pack(submission: Submission) -> bytes:
    """The submission as bytes: one byte for the form, then MessagePack, by LZ4 where it is long."""
    packed = _encoder.encode(submission)
    return _PLAIN + packed if len(packed) < _LZ4_FROM_BYTES else _LZ4 + lz4.block.compress(packed)


def submission_unpack(entry: bytes) -> Submission:
    """The submission that `submission_pack` made these bytes of.

    Raises EntryUnreadable.
    """
    form, packed = entry[:1], memoryview(entry)[1:]
    if form not in (_PLAIN, _LZ4):
        raise EntryUnreadable(f"a log entry starts with the form {_PLAIN!r} or {_LZ4!r}, not with {form!r}")
    try:
        if form == _LZ4:
            # Its first four bytes are the length, and so much memory is asked for.
            if int.from_bytes(packed[:4], "little") > _BYTES_MAX:
                raise EntryUnreadable("the log entry is longer than any that is written")
            packed = lz4.block.decompress(packed)
        return _decoder.decode(packed)
    except (msgspec.MsgspecError, lz4.block.LZ4BlockError, ValueError) as error:
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
