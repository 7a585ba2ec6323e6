"""Events on their way through an agent: kept on its disk before they are answered, then sent to the origin.

A body is read once, here: each event gets the key and the time that the origin would have given it, so that it is the same event
however often it is sent. What it means is the origin's to judge; what it refuses is a dead letter there.
"""

from __future__ import annotations

import gzip
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from aforo.kernel.clock import now
from aforo.kernel.identifiers import random_bits_63, uuid7
from aforo.kernel.periods import instant_text
from metering.compression import decompress
from metering.decoding import BODY_BYTES_MAX, decode
from metering.event import Door, Submission
from metering.intake.schema import ALIASES
from metering.spool import spool_bytes, spool_drain

BATCH_EVENTS = 1_000
# Waits between tries: at random up to half a second, doubled each time, never above a minute.
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
RETRY_AFTER_MAX_S = 300.0
# An origin that refuses us, and not our events, is asked again after so long; nothing is given up meanwhile.
REFUSED_PAUSE_S = 60.0
# Of a batch as a whole; its events are then sent by halves until the one is found.
_OF_THE_BODY = frozenset({400, 413, 422})
_WAIT = frozenset({408, 425, 429})

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
        if door == "meter" and "tenantId" in event:
            event.setdefault("customer_id", event.pop("tenantId"))
        if not _says(event, "idempotency_key"):
            given = None if key is None else key if raws.is_single else f"{key}:{index}"
            event["idempotency_key"] = given or f"{edge}:{uuid7()}"
        if not _says(event, "timestamp"):
            event["timestamp"] = instant_text(at)
        if source is not None:
            event.setdefault("source", source)
    return list(raws)


def key_of(event: Any) -> str | None:
    """The event's idempotency key, under whichever of its names; None of what is no event."""
    if not isinstance(event, dict):
        return None
    return next((event[name] for name in ALIASES["idempotency_key"] if event.get(name) is not None), None)


def _says(event: Mapping[str, Any], field: str) -> bool:
    return any(event.get(name) is not None for name in ALIASES[field])


def entry_pack(events: Sequence[Any]) -> bytes:
    """One entry of the spool."""
    return _json.encode(events)


class Origin(Protocol):
    """Where events go. Raises OSError or TimeoutError where nobody answers."""

    def events_send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        """POST a batch; status, Retry-After and body of the answer."""


class Waits(Exception):
    """The origin cannot take events now: try again after so many seconds, with what is spooled left as it is."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(slots=True)
class Tally:
    """What became of the events so far. refused: those that are dead letters at the origin. dead: in our own dead folder."""

    sent: int = 0
    refused: int = 0
    dead: int = 0
    tries_failed: int = 0


class Forwarder:
    """Sends what the spool holds, oldest file first, each event as often as it takes.

    folder: the spool's; what the origin refuses to read even alone goes to its folder `dead`, an event a line.
    chance: in [0, 1), spreads the retries of many agents.
    """

    def __init__(self, origin: Origin, folder: Path, *, chance: Callable[[], float] = random.random) -> None:
        self._origin = origin
        self._folder = folder
        self._chance = chance
        self._failures = 0
        self.tally = Tally()

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
            self.tally.tries_failed += 1
            _logger.warning(
                "events wait for the origin, bytes=%s, next try in %.1f s: %s",
                spool_bytes(self._folder),
                waits.seconds,
                waits,
            )
            return waits.seconds
        self._failures = 0
        return 0.0

    def _keep(self, entries: list[bytes]) -> None:
        events = [event for entry in entries for event in _events.decode(entry)]
        for at in range(0, len(events), BATCH_EVENTS):
            self._send(events[at : at + BATCH_EVENTS])

    def _send(self, events: list[msgspec.Raw]) -> None:
        body = gzip.compress(_json.encode(events), 1)
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "X-Aforo-Attempt": str(self._failures + 1),
        }
        try:
            status, retry_after, answer = self._origin.events_send(body, headers)
            told = msgspec.json.decode(answer) if 200 <= status < 300 else {}
        except (OSError, msgspec.DecodeError) as error:
            # An answer that was cut off may have been a success; the same keys are then duplicates.
            raise self._failed(None, str(error) or type(error).__name__) from None
        if 200 <= status < 300:
            self.tally.sent += len(events)
            self.tally.refused += told.get("rejected", 0)
        elif status in _OF_THE_BODY and len(events) > 1:
            half = len(events) // 2
            self._send(events[:half])
            self._send(events[half:])
        elif status in _OF_THE_BODY:
            self._bury(events[0], status, answer)
        elif status >= 500 or status in _WAIT:
            raise self._failed(retry_after, f"status {status}")
        else:
            raise Waits(REFUSED_PAUSE_S, f"status {status}: {answer[:200].decode(errors='replace')}")

    def _failed(self, retry_after: str | None, why: str) -> Waits:
        self._failures += 1
        if retry_after is not None and retry_after.isdigit():
            return Waits(min(max(1.0, float(retry_after)), RETRY_AFTER_MAX_S), why)
        most_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures - 1, 16))
        return Waits(max(0.05, most_s * self._chance()), why)

    def _bury(self, event: msgspec.Raw, status: int, answer: bytes) -> None:
        """Keep what the origin cannot read for a person to look at."""
        folder = self._folder / "dead"
        folder.mkdir(mode=0o700, exist_ok=True)
        line = {
            "at": instant_text(now()),
            "status": status,
            "answer": answer[:2_000].decode(errors="replace"),
            "event": event,
        }
        with (folder / f"{now():%Y-%m-%d}.ndjson").open("ab") as file:
            file.write(_json.encode(line) + b"\n")
        self.tally.dead += 1
        _logger.error("event set aside in %s: status %s", folder, status)
