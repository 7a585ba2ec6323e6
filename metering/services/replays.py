"""Replays: a recorded file sent as one customer's usage."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from aforo.http.bodies import Body
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, calendar_month, instant_text
from aforo.tenancy.models import Customer, Tenant

from ..delivery import Delivery, Receipt, RefusedEvent, encode
from ..recordings import SOURCE, Move, Row, Unreadable, event_of, rows_of, unreadable_event_of
from .events import Envelope, events_ingest

BATCH_SIZE = 1000
EXAMPLES_MAX = 20


@dataclass
class Replay:
    """How far a replay has come.

    rows = accepted + duplicates + the sum of refused, counted from the answers; what was stored is the tally's to say.
    refused: how many for each reason code. examples: the first of them with their line, as sentences.
    first_at, last_at: the earliest and latest time sent.
    """

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    unreadable: int = 0
    attempts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    first_at: datetime | None = None
    last_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "refused": self.refused.total(),
            "refused_by_code": dict(self.refused),
            "unreadable": self.unreadable,
            "examples": self.examples,
            "attempts": self.attempts,
            "first_at": instant_text(self.first_at) if self.first_at else None,
            "last_at": instant_text(self.last_at) if self.last_at else None,
        }


class LogDelivery:
    """Hands batches to intake and log in this process, without a web server; every rule is the same."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    def send(self, events: list[dict[str, Any]]) -> Receipt:
        """Raises Problem("storage_unavailable") where nothing durable can be reached."""
        content = encode(events)
        receipt = events_ingest(
            tenant=self.tenant,
            api_key_id=None,
            body=Body(content, len(content), hashlib.sha256(content).hexdigest()),
            envelope=Envelope(content_type="application/json", source=SOURCE),
        )
        refused = tuple(
            RefusedEvent(verdict.index, verdict.refusal.code, verdict.refusal.detail)
            for verdict in receipt.verdicts
            if verdict.refusal is not None
        )
        counts = receipt.counts()
        return Receipt(counts["accepted"], counts["duplicate"], refused)


def recording_replay(
    *,
    customer: Customer,
    path: Path,
    form: str,
    delivery: Delivery,
    into: str | None = None,
    at: datetime | None = None,
    key_prefix: str | None = None,
    rows_max: int | None = None,
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[Replay], None] = lambda replay: None,
) -> Replay:
    """Send the rows of a file as usage of the customer, batch by batch, each tried until it is answered.

    form: llm-csv, combined-log or ndjson. into: a month as YYYY-MM, in the customer's zone, that holds every row.
    at: where the first row goes. key_prefix: keys are `<prefix>:<row>`; without it the file's name without its
    ending is the prefix, and a row that has a key of its own keeps it. rows_max: only the first so many.
    Raises Problem: input_invalid for what cannot be read or is refused, storage_unavailable when patience ends.
    """
    month = _month(into, customer)
    replay = Replay()
    move: Move | None = None

    def key_of(row: Row | Unreadable) -> str:
        own = row.key if isinstance(row, Row) and key_prefix is None else ""
        return own or f"{key_prefix or path.stem}:{row.number}"

    def events() -> Iterator[tuple[Row | Unreadable, dict[str, Any]]]:
        nonlocal move
        for row in islice(_rows(path, form), rows_max):
            if isinstance(row, Unreadable):
                yield row, unreadable_event_of(row, key=key_of(row), customer=customer.external_id)
                continue
            move = move or Move(row.at, into=month, at=at, zone=customer.zone)
            moved = move(row.at)
            replay.first_at = min(replay.first_at or moved, moved)
            replay.last_at = max(replay.last_at or moved, moved)
            yield row, event_of(row, key=key_of(row), customer=customer.external_id, at=moved)

    pairs = events()
    while batch := list(islice(pairs, batch_size)):
        receipt = delivery.send([event for _, event in batch])
        replay.rows += len(batch)
        replay.accepted += receipt.accepted
        replay.duplicates += receipt.duplicates
        replay.attempts += receipt.attempts
        replay.unreadable += sum(1 for row, _ in batch if isinstance(row, Unreadable))
        for refused in receipt.refused:
            replay.refused[refused.code] += 1
            if len(replay.examples) < EXAMPLES_MAX:
                replay.examples.append(_example(batch[refused.index][0], refused))
        on_batch(replay)
    return replay


def _example(row: Row | Unreadable, refused: RefusedEvent) -> str:
    if isinstance(row, Unreadable):
        return f"line {row.line} {row.reason}."
    return f"line {row.line}: {refused.code}. {refused.detail}"


def rows_counted(path: Path) -> int:
    """How many lines the file has, for a progress bar. Raises Problem("input_invalid")."""
    with _opened(path) as file:
        return sum(1 for _ in file)


def _month(into: str | None, customer: Customer) -> Period | None:
    try:
        return calendar_month(into, customer.zone) if into else None
    except ValueError as error:
        raise Problem("input_invalid", f"{error}.") from None


def _rows(path: Path, form: str) -> Iterator[Row | Unreadable]:
    with _opened(path) as file:
        yield from rows_of(file, form)


def _opened(path: Path) -> Any:
    try:
        # Bytes that are no UTF-8 become visible escapes: a row is not lost for an old browser's name.
        return path.open(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise Problem("input_invalid", f"{path} cannot be read: {error.strerror}.") from None
