"""The rows of an uploaded file on their way through the log: each with the line that it began on.

One row a line: `7<tab>{"metric": …}`, and where a row could not be read `8!<tab>["has 2 values for 3 columns", "a,b"]`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from aforo.kernel.errors import Problem

from .raw_events import RawEvents, Unreadable
from .strict_json import read_json

_json = msgspec.json.Encoder()


class FileRow(NamedTuple):
    """line: of the file, from 1. event: JSON of one value, or why there is none."""

    line: int
    event: bytes | Unreadable


def row_pack(row: FileRow) -> bytes:
    """The row as one line of a submission's body at the door "upload"."""
    if isinstance(row.event, Unreadable):
        return b"%d!\t%b\n" % (row.line, _json.encode([row.event.reason, row.event.text]))
    # In valid JSON a line's end is space, never part of a text.
    event = row.event.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"%d\t%b\n" % (row.line, event)


def rows_unpack(body: bytes) -> RawEvents:
    """The events of a body that `row_pack` made. Raises Problem("body_unreadable") for any other."""
    events = RawEvents()
    lines = []
    for packed in body.splitlines():
        head, _, text = packed.partition(b"\t")
        try:
            lines.append(int(head.removesuffix(b"!")))
        except ValueError:
            raise Problem("body_unreadable", "The body holds no rows of a file.") from None
        value = read_json(text)
        if head.endswith(b"!"):
            reason, sent = value
            value = Unreadable(reason, sent)
        events.append(value)
    events.lines = lines
    return events
