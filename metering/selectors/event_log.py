"""The event log: what was accepted, refused or held, as one list; searched, and followed as it comes in."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant

from ..intake.timestamp import instant_of
from ..models import DeadLetter, DeadLetterStatus
from .dead_letters import dead_letters_for
from .events import EventPlace, StoredEvent, event_for, events_for, events_received_for

# What stands in the log as what. A letter that was replayed stands there as its event.
EVENTS = {"accepted": False, "late": True}
LETTERS = {
    "refused": (DeadLetterStatus.NEW, DeadLetterStatus.RESOLVED, DeadLetterStatus.DISCARDED),
    "held": (DeadLetterStatus.HELD,),
}
STATUSES = (*EVENTS, *LETTERS)
# A row is written some moments after it was received; one that took longer is not seen by whoever follows the log.
WRITTEN_WITHIN = timedelta(seconds=10)
FOLLOWED_ROWS_MAX = 50
# Of the rows that were shown, so many are remembered by a cursor.
_REMEMBERED_MAX = 200
_SHORT = 8


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log.

    customer_id, metric: of a letter as sent, perhaps "". quantity, timestamp: None of a letter.
    code: why it was refused, or what it is held for; "" of an event. id: the event's identity, or the letter's id.
    """

    status: str
    idempotency_key: str
    customer_id: str
    metric: str
    source: str
    quantity: Decimal | None
    timestamp: datetime | None
    received_at: datetime
    code: str
    dead_letter_id: UUID | None
    id: UUID

    @classmethod
    def of_event(cls, event: StoredEvent) -> LogRow:
        return cls(
            status="late" if event.is_late else "accepted",
            idempotency_key=event.idempotency_key,
            customer_id=event.customer_id,
            metric=event.metric,
            source=event.source,
            quantity=event.quantity,
            timestamp=event.timestamp,
            received_at=event.received_at,
            code="",
            dead_letter_id=None,
            id=event.identity,
        )

    @classmethod
    def of_letter(cls, letter: DeadLetter) -> LogRow:
        return cls(
            status="held" if letter.status == DeadLetterStatus.HELD else "refused",
            idempotency_key=letter.idempotency_key,
            customer_id=letter.customer,
            metric=letter.metric,
            source=letter.source,
            quantity=None,
            timestamp=None,
            received_at=letter.received_at,
            code=letter.code,
            dead_letter_id=letter.pk,
            id=letter.pk,
        )

    @property
    def place(self) -> EventPlace:
        """Where it stands in the log: by the time of an event, by the receipt of what has none."""
        return EventPlace(self.timestamp or self.received_at, self.id)


def log_for(
    tenant: Tenant,
    *,
    limit: int,
    status: str | None = None,
    key: str | None = None,
    customer_id: str | None = None,
    metric: str | None = None,
    source: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: EventPlace | None = None,
) -> list[LogRow]:
    """Events by their time and letters by their receipt, the latest first, at most *limit* of them.

    status: one of STATUSES. key: the whole idempotency key. after: the place of the last row of the page before.
    Raises Problem events_archived where the key's event lies in the archive.
    """
    named = {"customer_id": customer_id, "metric": metric, "source": source}
    rows: list[LogRow] = []
    if status is None or status in EVENTS:
        is_late = None if status is None else EVENTS[status]
        if key is None:
            found = events_for(
                tenant, limit=limit, start=start, end=end, is_late=is_late, after=after, **named
            )
        else:
            event = event_for(tenant, key)
            found = [event] if event and _fits(event, is_late, start, end, after, named) else []
        rows += map(LogRow.of_event, found)
    if status is None or status in LETTERS:
        letters = _letters(tenant, status, start=start, end=end, **named)
        if key is not None:
            letters = letters.filter(idempotency_key=key)
        if after is not None:
            same = Q(received_at=after.timestamp, pk__lt=after.identity)
            letters = letters.filter(Q(received_at__lt=after.timestamp) | same)
        rows += map(LogRow.of_letter, letters[:limit])
    return sorted(rows, key=lambda row: (row.place.timestamp, row.id), reverse=True)[:limit]


def log_followed_for(
    tenant: Tenant,
    *,
    cursor: str = "",
    status: str | None = None,
    customer_id: str | None = None,
    metric: str | None = None,
    source: str | None = None,
) -> tuple[list[LogRow], str]:
    """What came in since the last look, the latest received first, and the cursor of the next look.

    cursor: of the look before; "" begins with what was received in the last ten seconds. At most 50 rows: where more
    came in, the latest of them. No row is given twice to who hands the cursors on.
    """
    newest, seen = _read(cursor)
    present = now()
    # Who looked away for long begins anew.
    since = max(newest or present, present - timedelta(minutes=1)) - WRITTEN_WITHIN
    limit = FOLLOWED_ROWS_MAX + len(seen)
    named = {"customer_id": customer_id, "metric": metric, "source": source}
    rows: list[LogRow] = []
    if status is None or status in EVENTS:
        is_late = None if status is None else EVENTS[status]
        events = events_received_for(tenant, since=since, limit=limit, is_late=is_late, **named)
        rows += map(LogRow.of_event, events)
    if status is None or status in LETTERS:
        letters = _letters(tenant, status, start=since, **named)
        rows += map(LogRow.of_letter, letters[:limit])
    rows.sort(key=lambda row: (row.received_at, row.id), reverse=True)
    fresh = [row for row in rows if _short(row) not in seen][:FOLLOWED_ROWS_MAX]
    newest = max([row.received_at for row in fresh] + [newest or since])
    return fresh, _written(newest, [*map(_short, fresh), *seen][:_REMEMBERED_MAX])


def _letters(tenant: Tenant, status: str | None, **asked: Any) -> QuerySet[DeadLetter]:
    statuses = LETTERS[status] if status else [one for some in LETTERS.values() for one in some]
    letters = dead_letters_for(tenant, **asked).filter(status__in=statuses)
    return letters.order_by("-received_at", "-pk")


def _fits(
    event: StoredEvent,
    is_late: bool | None,
    start: datetime | None,
    end: datetime | None,
    after: EventPlace | None,
    named: dict[str, str | None],
) -> bool:
    return (
        all(value is None or getattr(event, name) == value for name, value in named.items())
        and (is_late is None or event.is_late == is_late)
        and (start is None or event.timestamp >= start)
        and (end is None or event.timestamp < end)
        and (after is None or (event.timestamp, event.identity) < (after.timestamp, after.identity))
    )


def _short(row: LogRow) -> str:
    # The first half of a letter's id is its time.
    return row.id.hex[-_SHORT:]


def _written(newest: datetime, seen: list[str]) -> str:
    return urlsafe_b64encode(f"{instant_text(newest)} {''.join(seen)}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime | None, list[str]]:
    """Raises Problem input_invalid for what is no cursor."""
    if not cursor:
        return None, []
    try:
        text, seen = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return instant_of(text), [seen[place : place + _SHORT] for place in range(0, len(seen), _SHORT)]
    except ValueError:
        sentence = "This is no cursor of an earlier answer."
        raise Problem("input_invalid", sentence, errors={"cursor": [sentence]}) from None
