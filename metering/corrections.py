"""Corrections: what an event says once some of it is replaced, and the name of the row that says it."""

from __future__ import annotations

import msgspec

from aforo.kernel.decimals import trimmed
from aforo.kernel.periods import instant_text

from .event import UsageEvent
from .intake.identity import identity_of

# What a correction may replace of an event; its key stays, and so does where it came from.
AMENDABLE = ("customer_id", "metric", "quantity", "timestamp", "properties")

_json = msgspec.json.Encoder(order="sorted", decimal_format="number")


def replacement_identity(key: str, number: int) -> bytes:
    """The identity of the row that an event's correction puts in its place; number: 1 for its first correction.

    No sender can use it: NUL is in no key.
    """
    return identity_of(f"{key}\0{number}")


def content_text(event: UsageEvent) -> str:
    """What an event says, of that which can be corrected, as JSON text; equal contents give equal text.

    {"customer_id":"cust_abc","metric":"api.call","properties":{},"quantity":"2.5","timestamp":"2026-03-15T11:59:00Z"}
    """
    content = {
        "customer_id": event.customer_id,
        "metric": event.metric,
        "properties": event.properties,
        "quantity": trimmed(event.quantity),
        "timestamp": instant_text(event.timestamp),
    }
    return _json.encode(content).decode()
