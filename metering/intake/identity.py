"""Step 3, which one: the key that makes an event unique for ever, and the content it stands for.

The fingerprint leaves time out, because a retry without a timestamp is still a duplicate although its
default differs; times are compared only where both requests carried one. It leaves out what the use was reserved under.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Refusal

from ..event import RESERVATION, UsageEvent
from .draft import Draft, Receipt

Judgement = Literal["new", "duplicate", "copy", "conflict"]

_encoder = msgspec.json.Encoder(order="sorted")
_sha256 = hashlib.sha256
_first_64_bits = struct.Struct(">q").unpack_from


@dataclass(frozen=True, slots=True)
class Identity:
    """What the store remembers of the event that came first under a key.

    client_time: the timestamp its sender gave, None where it gave none. intake_id: of the event as received.
    """

    fingerprint: int
    client_time: datetime | None
    intake_id: int


def check(draft: Draft, receipt: Receipt) -> Refusal | None:
    """Set the draft's identity and fingerprint."""
    draft.identity = identity_of(draft.key)
    properties = draft.properties
    if RESERVATION in properties:
        # A retry may come when its reservation is settled, and so without it.
        properties = {name: value for name, value in properties.items() if name != RESERVATION}
    content = [draft.customer_id, draft.metric, trimmed(draft.quantity), properties]
    (draft.fingerprint,) = _first_64_bits(_sha256(_encoder.encode(content)).digest())
    return None


def generated_key(intake_id: int) -> str:
    """The key of an event whose sender gave none; the same whenever the same submission is read again.

    255 gives gen_00000000000000ff.
    """
    return f"gen_{intake_id:016x}"


def is_generated(key: str, intake_id: int) -> bool:
    """Whether the event of this intake id was given this key by us."""
    return key.startswith("gen_") and key == generated_key(intake_id)


def identity_of(key: str) -> bytes:
    """16 bytes of SHA-256: of 10^12 keys two share them with a chance of 10^-15."""
    return _sha256(key.encode()).digest()[:16]


def judge(existing: Identity | None, event: UsageEvent, intake_id: int) -> Judgement:
    """What an event is, given what is stored under its key.

    "new"        nothing is stored
    "copy"       the stored event itself, written once more (a repeated read of the log); no duplicate
    "duplicate"  the same content sent again; counted once
    "conflict"   another content, or another time where both senders gave one; the first one stands
    """
    if existing is None:
        return "new"
    if existing.intake_id == intake_id:
        return "copy"
    if existing.fingerprint != event.fingerprint:
        return "conflict"
    here = event.client_time
    if existing.client_time is not None and here is not None and existing.client_time != here:
        return "conflict"
    return "duplicate"


def conflict(event: UsageEvent) -> Refusal:
    """The refusal of an event whose key belongs to another one."""
    return Refusal(
        "idempotency_conflict",
        f"The key {event.idempotency_key!r} was used for another event, which stands.",
        {"idempotency_key": event.idempotency_key},
    )
