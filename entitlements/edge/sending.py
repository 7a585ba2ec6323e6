"""Events sent to the origin in batches, each as often as it takes: what became of a batch, and when to try again."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

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

_json = msgspec.json.Encoder()


class Origin(Protocol):
    """Where events go. Raises OSError or TimeoutError where nobody answers."""

    def events_send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        """POST a batch; status, Retry-After and body of the answer."""


class Waits(Exception):
    """The origin cannot take events now: try again after so many seconds, with what is kept left as it is.

    refused_status: where it refuses whoever sends, a key without the scope or a wrong address, and not the events; else 0.
    """

    def __init__(self, seconds: float, why: str, *, refused_status: int = 0) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.refused_status = refused_status


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that the origin cannot read even alone, and what it answered. index: its place in what was sent."""

    index: int
    status: int
    answer: bytes


@dataclass(slots=True)
class Tally:
    """What became of the events so far.

    refused: of those sent, dead letters at the origin. dead: set aside here. refused_status: by which the origin refuses
    this agent at present; 0 where it does not.
    """

    sent: int = 0
    refused: int = 0
    dead: int = 0
    tries_failed: int = 0
    refused_status: int = 0


class _Told(msgspec.Struct):
    """The body of a success, as far as it matters here; what says another thing comes from somebody else."""

    accepted: int
    rejected: int = 0


class Sender:
    """Sends events to one origin. chance: in [0, 1), spreads the retries of many agents."""

    def __init__(self, origin: Origin, *, chance: Callable[[], float] = random.random) -> None:
        self._origin = origin
        self._chance = chance
        self._failures = 0
        self.tally = Tally()

    def send(self, events: Sequence[msgspec.Raw]) -> list[Unreadable]:
        """Return once the origin has all events but those that it cannot read.

        Raises Waits; some may have been taken by then, and are duplicates the next time.
        """
        unreadable: list[Unreadable] = []
        try:
            for at in range(0, len(events), BATCH_EVENTS):
                unreadable += self._send(events[at : at + BATCH_EVENTS], at)
        except Waits as waits:
            self.tally.tries_failed += 1
            self.tally.refused_status = waits.refused_status
            raise
        self._failures = 0
        self.tally.refused_status = 0
        return unreadable

    def _send(self, events: Sequence[msgspec.Raw], at: int) -> list[Unreadable]:
        """at: the place of the first of them."""
        body = gzip.compress(_json.encode(events), 1)
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "X-Aforo-Attempt": str(self._failures + 1),
        }
        try:
            status, retry_after, answer = self._origin.events_send(body, headers)
            told = msgspec.json.decode(answer, type=_Told) if 200 <= status < 300 else None
        except (OSError, msgspec.DecodeError) as error:
            # One that was cut off may have been a success; the same keys are then duplicates.
            raise self._failed(None, str(error) or type(error).__name__) from None
        if told is not None:
            self.tally.sent += len(events)
            self.tally.refused += told.rejected
            return []
        if status in _OF_THE_BODY and len(events) > 1:
            half = len(events) // 2
            return self._send(events[:half], at) + self._send(events[half:], at + half)
        if status in _OF_THE_BODY:
            return [Unreadable(at, status, answer)]
        if status >= 500 or status in _WAIT:
            raise self._failed(retry_after, f"status {status}")
        why = f"status {status}: {answer[:200].decode(errors='replace')}"
        raise Waits(REFUSED_PAUSE_S, why, refused_status=status)

    def _failed(self, retry_after: str | None, why: str) -> Waits:
        self._failures += 1
        if retry_after is not None and retry_after.isdigit():
            return Waits(min(max(1.0, float(retry_after)), RETRY_AFTER_MAX_S), why)
        most_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures - 1, 16))
        return Waits(max(0.05, most_s * self._chance()), why)
