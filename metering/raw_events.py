"""Raw events: what stood in a body in the places of events, before anybody asked what it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aforo.kernel.errors import Problem, Refusal
from aforo.kernel.texts import storable

EVENTS_MAX = 10_000
# Of what cannot be read, this much is kept.
TEXT_BYTES_MAX = 64 * 1024


class Unreadable(msgspec.Struct, frozen=True):
    """What stands in an event's place and cannot be read, while its neighbours can.

    reason: what is wrong with it, to follow "event". text: as received, as far as it is text.
    """

    reason: str
    text: str

    @classmethod
    def of(cls, reason: str, content: bytes) -> Unreadable:
        """The first 64 KiB of what was received."""
        return cls(reason, storable(content[:TEXT_BYTES_MAX].decode(errors="replace")))


class RawEvents(list[Any]):
    """The events of one body as sent: dictionaries, or whatever else stood in an event's place.

    is_single: the body was one event and no batch, so that an Idempotency-Key header is its key as it stands.
    has_escapes: the body escapes NUL or surrogates, so that its texts may hold characters no store keeps.
    key: what the envelope around them is known by; it stands for an Idempotency-Key header.
    lines: the line of a file that each event began on; empty where the events come from no file.
    """

    is_single: bool = False
    has_escapes: bool = False
    key: str | None = None
    lines: Sequence[int] = ()


def too_many() -> Problem:
    """The refusal of a body with more than 10,000 events."""
    return Problem("batch_too_large", f"The body has more than {EVENTS_MAX:,} events.", events_max=EVENTS_MAX)


def located(refusal: Refusal, lines: Sequence[int], index: int) -> Refusal:
    """The refusal of an event, saying its line where it has one: "Line 7: There is no customer 'cust_abd'."."""
    if not lines:
        return refusal
    line = lines[index]
    return Refusal(refusal.code, f"Line {line}: {refusal.detail}", {**refusal.facts, "line": line})
