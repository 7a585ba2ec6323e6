"""Events on their way through an agent: kept on its disk before they are answered, then sent to the origin.

A body is read once, here: each event gets the key and the time that the origin would have given it, so that it is the same event
however often it is sent. What it means is the origin's to judge; what it refuses is a dead letter there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_bits_63, uuid7
from aforo.kernel.periods import instant_text
from metering.compression import decompress
from metering.decoding import BODY_BYTES_MAX, decode
from metering.event import Door, Submission
from metering.intake.cloud_events import is_cloud_event
from metering.intake.schema import ALIASES
from metering.spool import spool_bytes, spool_drain

from .dead import DeadEvents
from .sending import Sender, Tally, Waits

# A disk that refuses is tried again after so long.
DISK_PAUSE_S = 5.0

_json = msgspec.json.Encoder(decimal_format="number")
# As they stand: what is sent on has the digits that came in.
_events = msgspec.json.Decoder(list[msgspec.Raw])
_logger = logging.getLogger(__name__)


def events_read(
    body: bytes,
    *,
    edge: str,
    door: Door,
    content_type: str | None = None,
    content_encoding: str | None = None,
    key: str | None = None,
    source: str | None = None,
    attributes: tuple[tuple[str, str], ...] = (),
    received_at: datetime | None = None,
) -> list[Any]:
    """The events of a body, each with key, time and source. Raises Problem for a body that cannot be read.

    key: the header Idempotency-Key; event i of a batch gets "key:i". source: the header X-Aforo-Source.
    """
    at = received_at or now()
    plain = decompress(body, content_encoding, BODY_BYTES_MAX)
    raws = decode(
        Submission(
            tenant_id=0,
            tenant_slug="",
            api_key_id=None,
            received_at=at,
            intake_id=random_bits_63(),
            body=plain,
            door=door,
            content_type=content_type,
            attributes=attributes,
        )
    )
    for index, event in enumerate(raws):
        if not isinstance(event, dict):
            continue
        if door == "meter" and (customer := event.pop("tenantId", None)) is not None:
            # It means the customer at this door alone; one that is named otherwise, too, goes before it.
            event |= {} if _says(event, ALIASES["customer_id"]) else {"customer_id": customer}
        # Under the names of its own shape: what a CloudEvent calls otherwise is a property.
        key_names, time_names = ALIASES["idempotency_key"], ALIASES["timestamp"]
        if is_cloud_event(event, content_type):
            key_names, time_names = ("id",), ("time",)
        if not _says(event, key_names):
            given = None if key is None else key if raws.is_single else f"{key}:{index}"
            event[key_names[0]] = given or f"{edge}:{uuid7()}"
        if not _says(event, time_names):
            event[time_names[0]] = instant_text(at)
        if source is not None and event.get("source") is None:
            event["source"] = source
    if raws.has_escapes:
        _readable_demand(raws)
    return list(raws)


def _readable_demand(events: Sequence[Any]) -> None:
    try:
        entry_pack(events)
    except UnicodeEncodeError:
        sentence = "has a text with half of a surrogate pair, which cannot be kept"
        raise Problem("field_invalid", f"An event {sentence}.", errors={"event": [sentence]}) from None


def key_of(event: Any) -> str | None:
    """The event's idempotency key, under whichever of its names; None of what is no event."""
    if not isinstance(event, dict):
        return None
    return next((event[name] for name in ALIASES["idempotency_key"] if event.get(name) is not None), None)


def _says(event: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(event.get(name) is not None for name in names)


def entry_pack(events: Sequence[Any]) -> bytes:
    """One entry of the spool."""
    return _json.encode(events)


class Forwarder:
    """Sends what the spool holds, oldest file first; what the origin cannot read even alone is set aside.

    folder: the spool's.
    """

    def __init__(self, sender: Sender, folder: Path) -> None:
        self._sender = sender
        self._folder = folder
        self._dead = DeadEvents(folder)

    @property
    def tally(self) -> Tally:
        return self._sender.tally

    def run(self, stop: threading.Event, *, every_s: float = 0.5) -> None:
        """Until told to stop, and then once more."""
        wait_s = every_s
        while not stop.wait(wait_s):
            wait_s = self.turn() or every_s
        self.turn()

    def turn(self) -> float:
        """Send all that waits; returns the seconds to wait for after a failure, 0 after none."""
        try:
            spool_drain(self._folder, self._keep)
        except Waits as waits:
            level, said = logging.WARNING, "events wait for the origin"
            if waits.refused_status:
                level, said = logging.ERROR, "the origin refuses this agent; events wait"
            waiting = spool_bytes(self._folder)
            _logger.log(level, "%s, bytes=%s, next try in %.1f s: %s", said, waiting, waits.seconds, waits)
            return waits.seconds
        except OSError as error:
            _logger.error("events wait: the spool's disk refuses: %s", error)
            return DISK_PAUSE_S
        return 0.0

    def _keep(self, entries: list[bytes]) -> None:
        events = [event for entry in entries for event in _events.decode(entry)]
        for one in self._sender.send(events):
            self._dead.bury(events[one.index], one.status, one.answer)
            self.tally.dead += 1
            _logger.error("event set aside in %s: status %s", self._dead.folder, one.status)
