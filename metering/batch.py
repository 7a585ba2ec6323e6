"""A batch of submissions to rows: identities, events, buckets, dead letters and the tally, in one transaction.

Every event has an intake id, and it ends in exactly one place: on an identity (accepted), on a dead letter (refused), or
on a duplicate's receipt. What is found there already was read before, and changes nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Literal, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from aforo.kernel.clock import now
from aforo.kernel.errors import Refusal

from .buckets import buckets_merge
from .dead_letters import letter_of, letter_of_body, letters_file
from .event import INTAKE_ID_MASK, Refused, RefusedBody, Submission
from .intake.identity import Identity, conflict, identity_of, judge
from .locks import new_events_locked
from .models import DeadLetter
from .partitions import months_ensure
from .ports import usage_sink
from .reading import Item, Read, is_outage, items_of, reads_of
from .rows import Rows
from .staging import copy_in

_logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What became of one event.

    accepted    stored and counted for the first time
    duplicate   the same content was stored before, under another intake id
    copy        this very event was stored or filed before: a second internal copy
    conflict    its key belongs to another event; a dead letter
    refused     a dead letter; a body that cannot be read is one refused event

    refusal: of conflict and refused.
    """

    verdict: Literal["accepted", "duplicate", "copy", "conflict", "refused"]
    refusal: Refusal | None = None


ACCEPTED = Outcome("accepted")
DUPLICATE = Outcome("duplicate")
COPY = Outcome("copy")


def store(submissions: Sequence[Submission], *, is_replay: bool = False) -> list[list[Outcome]]:
    """Make rows of submissions, in one transaction: the caller's, if it has one.

    is_replay: each submission is one dead letter sent again, with the letter's intake id and time of receipt. The tally
        moves it from dead letters to where it ends, and a refused one files no second letter; the letter's own row is
        the caller's to change, in the same transaction.
    Returns for each submission the outcomes of its events, in their order; none for one that was set aside (LogEntry).
    Raises django.db.Error where the store is away; the transaction is then lost.
    """
    return batch_store(Batch.of(reads_of(submissions)), is_replay=is_replay)


class Batch(NamedTuple):
    """Submissions that were read and judged; rows: of their events, None where they could not be made of all at once."""

    reads: Sequence[Read]
    items: Sequence[Item]
    rows: Rows | None

    @classmethod
    def of(cls, reads: Sequence[Read]) -> Batch:
        """Made ready for `batch_store`; raises django.db.Error where the store has to be asked and is away."""
        items = list(items_of(reads))
        try:
            return cls(reads, items, Rows(items))
        except Exception as error:
            if is_outage(error):
                raise
            # Found again while the batch is halved, down to the event that it is about.
            return cls(reads, items, None)


def batch_store(batch: Batch, *, is_replay: bool = False) -> list[list[Outcome]]:
    """`store` for submissions that were made ready before."""
    with transaction.atomic(savepoint=False):
        new_events_locked({read.submission.tenant_id for read in batch.reads})
        for read in batch.reads:
            if read.fault is not None:
                read.set_aside(read.fault)
        outcomes = iter(_written(batch.items, is_replay, batch.rows))
        return [[next(outcomes) for _ in read.verdicts] for read in batch.reads]


def _written(items: Sequence[Item], is_replay: bool, rows: Rows | None = None) -> list[Outcome]:
    """Write all; a batch that the store refuses is halved, down to the event that it will not have."""
    try:
        with transaction.atomic():
            return _Write(rows or Rows(items), is_replay).outcomes()
    except Exception as error:
        if is_outage(error):
            raise
        if len(items) == 1:
            return [_refused(items[0], is_replay, error)]
    half = len(items) // 2
    return _written(items[:half], is_replay) + _written(items[half:], is_replay)


def _refused(item: Item, is_replay: bool, error: Exception) -> Outcome:
    """File the event that the store refused; where the letter is refused too, its submission is set aside."""
    reason = (str(error).strip() or repr(error)).splitlines()[0]
    _logger.error("event refused by the store, tenant=%s: %s", item.tenant_id, reason)
    refusal = Refusal("storage_refused", f"The store could not keep the event: {reason}.")
    try:
        with transaction.atomic():
            return _Write(Rows([item.refused(refusal)]), is_replay).outcomes()[0]
    except Exception as second:
        if is_outage(second):
            raise
        item.read.set_aside(second)
        return Outcome("refused", refusal)


_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS metering_staging (
    place integer, tenant_id integer, identity uuid, fingerprint bigint, intake_id bigint, is_timestamp_given boolean,
    context_id integer, occurred_at timestamptz, received_at timestamptz, is_late boolean, quantity numeric, key text,
    properties jsonb
) ON COMMIT DELETE ROWS;
DELETE FROM metering_staging;
-- A row that refers to nothing is refused here, where the event can still be found, and not by the commit.
SET CONSTRAINTS ALL IMMEDIATE
"""
# In order of the key, so that two transactions never wait for each other crosswise.
_IDENTITIES = """
INSERT INTO metering_identity
    (occurred_at, fingerprint, intake_id, identity, tenant_id, context_id, is_timestamp_given)
SELECT occurred_at, fingerprint, intake_id, identity, tenant_id, context_id, is_timestamp_given
FROM metering_staging ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING
"""
_EVENTS = """
INSERT INTO metering_event
    (occurred_at, received_at, identity, tenant_id, context_id, is_late, quantity, key, properties)
SELECT occurred_at, received_at, identity, tenant_id, context_id, is_late, quantity, key, properties
FROM metering_staging
"""
_NEW_OF_THEM = f"""
WITH fresh AS ({_IDENTITIES} RETURNING tenant_id, identity), events AS (
    {_EVENTS} JOIN fresh USING (tenant_id, identity)
)
SELECT place FROM metering_staging LEFT JOIN fresh USING (tenant_id, identity) WHERE fresh.identity IS NULL
"""
# A statement of its own: the one before does not see what another transaction committed while it waited for it.
_STORED = """
SELECT place, stored.fingerprint, stored.occurred_at, stored.is_timestamp_given, stored.intake_id
FROM metering_staging JOIN metering_identity AS stored USING (tenant_id, identity) WHERE place = ANY(%s)
"""
_FILED = """
SELECT span.tenant_id, filed.* FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS span (tenant_id, low, high)
CROSS JOIN LATERAL (
    SELECT intake_id, true FROM metering_deadletter
    WHERE tenant_id = span.tenant_id AND intake_id BETWEEN low AND high
    UNION ALL
    SELECT intake_id, false FROM metering_duplicate
    WHERE tenant_id = span.tenant_id AND intake_id BETWEEN low AND high
) AS filed
"""
_ACCEPTED_BEFORE = """
SELECT place FROM unnest(%s::integer[], %s::integer[], %s::uuid[], %s::bigint[])
    AS refused (place, tenant_id, identity, intake_id)
JOIN metering_identity USING (tenant_id, identity, intake_id)
"""
_DUPLICATES = """
INSERT INTO metering_duplicate (tenant_id, intake_id, counted_at)
SELECT tenant_id, intake_id, %s FROM unnest(%s::integer[], %s::bigint[]) AS counted (tenant_id, intake_id)
ORDER BY tenant_id, intake_id
"""
_TALLY_NAMES = ("received", "accepted", "duplicates", "dead_letters", "late", "copies")
_TALLY = f"""
INSERT INTO metering_tally AS tally (tenant_id, day, {", ".join(_TALLY_NAMES)})
SELECT * FROM unnest(%s::integer[], %s::date[]{", %s::bigint[]" * len(_TALLY_NAMES)}) ORDER BY 1, 2
ON CONFLICT (tenant_id, day) DO UPDATE SET
{", ".join(f"{name} = tally.{name} + excluded.{name}" for name in _TALLY_NAMES)}
"""


class _SomeAreOld(Exception):
    """Of the staged events, some have keys that are stored already."""


class _Write:
    """One attempt at writing items, inside a savepoint."""

    def __init__(self, rows: Rows, is_replay: bool) -> None:
        self._rows = rows
        self._items = rows.items
        self._is_replay = is_replay
        # What nothing below decides was read before.
        self._outcomes = [COPY] * len(rows.items)
        self._letters: list[DeadLetter] = []
        self._duplicates: list[tuple[int, int]] = []
        # The letters that are replayed, as (tenant, intake id).
        self._replayed: set[tuple[int, int]] = set()

    def outcomes(self) -> list[Outcome]:
        """Write, and say what became of each item."""
        if not self._items:
            return []
        with connection.cursor() as cursor:
            cursor.execute(_STAGE)
            filed = self._filed(cursor)
            if filed:
                self._rows = Rows(self._items, leave_out=filed)
            stored = self._insert(cursor)
            for place, existing in stored.items():
                self._judge(place, existing)
            for place, first in self._rows.repeats:
                self._judge(place, stored.get(first) or self._identity_of(first))
            self._refuse(cursor, self._rows.refused)
            letters_file(self._letters)
            if self._duplicates:
                cursor.execute(_DUPLICATES, [now(), *_columns(self._duplicates)])
            self._count(cursor)
        return self._outcomes

    def _filed(self, cursor: CursorWrapper) -> set[tuple[int, int]]:
        """The intake ids, with their tenants, that ended on a dead letter or a duplicate's receipt before."""
        reads = {id(item.read): item.read for item in self._items}.values()
        spans = [
            (
                read.submission.tenant_id,
                read.submission.intake_id,
                min(read.submission.intake_id + len(read.verdicts) - 1, INTAKE_ID_MASK),
            )
            for read in reads
        ]
        cursor.execute(_FILED, _columns(spans))
        replayed = {span[:2] for span in spans} if self._is_replay else set()
        filed = set()
        for tenant_id, intake_id, is_letter in cursor.fetchall():
            if is_letter and (tenant_id, intake_id) in replayed:
                self._replayed.add((tenant_id, intake_id))
            else:
                filed.add((tenant_id, intake_id))
        return filed

    def _insert(self, cursor: CursorWrapper) -> dict[int, Identity]:
        """Insert what is new, with its buckets, and tell of it; returns what is stored under the keys of the others."""
        rows = self._rows
        if not rows.firsts:
            return {}
        months_ensure(rows.months())
        copy_in(cursor, "metering_staging", rows.event_lines)
        old = self._old(cursor)
        for place in rows.firsts:
            if place not in old:
                self._outcomes[place] = ACCEPTED
        buckets_merge(cursor, rows.bucket_lines_without(old) if old else rows.bucket_lines)
        usage_sink().usage_counted({item.tenant_id for item in self._items}, rows.usage_without(old))
        if not old:
            return {}
        cursor.execute(_STORED, [list(old)])
        return {
            place: Identity(fingerprint, occurred_at if is_timestamp_given else None, intake_id)
            for place, fingerprint, occurred_at, is_timestamp_given, intake_id in cursor.fetchall()
        }

    def _old(self, cursor: CursorWrapper) -> set[int]:
        """Insert the staged events that are new; returns the places of those whose key is stored already.

        Most batches are new as a whole, which takes a fifth less of the store's time than to tell which are.
        """
        with suppress(_SomeAreOld), transaction.atomic():
            cursor.execute(_IDENTITIES)
            if cursor.rowcount < len(self._rows.firsts):
                raise _SomeAreOld
            cursor.execute(_EVENTS)
            return set()
        cursor.execute(_NEW_OF_THEM)
        return {place for (place,) in cursor.fetchall()}

    def _identity_of(self, place: int) -> Identity:
        event = self._items[place].verdict.event
        return Identity(event.fingerprint, event.client_time, self._items[place].intake_id)

    def _judge(self, place: int, existing: Identity) -> None:
        """Decide about an event under whose key another one, or itself, is stored."""
        item = self._items[place]
        event = item.verdict.event
        judgement = judge(existing, event, item.intake_id)
        if judgement == "duplicate":
            self._outcomes[place] = DUPLICATE
            self._duplicates.append((item.tenant_id, item.intake_id))
        elif judgement == "conflict":
            refusal = conflict(event)
            self._outcomes[place] = Outcome("conflict", refusal)
            self._file(item.refused(refusal))

    def _refuse(self, cursor: CursorWrapper, places: Sequence[int]) -> None:
        """File what intake refused, unless it was accepted when it was read before (a customer gone meanwhile)."""
        keyed = [
            (place, item.tenant_id, identity_of(item.verdict.idempotency_key).hex(), item.intake_id)
            for place in places
            if isinstance((item := self._items[place]).verdict, Refused) and item.verdict.idempotency_key
        ]
        accepted_before = set()
        if keyed:
            cursor.execute(_ACCEPTED_BEFORE, _columns(keyed))
            accepted_before = {place for (place,) in cursor.fetchall()}
        for place in places:
            if place not in accepted_before:
                item = self._items[place]
                self._outcomes[place] = Outcome("refused", _refusal_of(item.verdict))
                self._file(item)

    def _file(self, item: Item) -> None:
        if (item.tenant_id, item.intake_id) in self._replayed:
            return
        make = letter_of_body if isinstance(item.verdict, RefusedBody) else letter_of
        self._letters.append(make(item.verdict, item.read.submission))

    def _count(self, cursor: CursorWrapper) -> None:
        tally: dict[tuple[int, date], Counter[str]] = defaultdict(Counter)
        place = 0
        for read, group in groupby(self._items, key=attrgetter("read")):
            first, *others = group
            end = place + 1 + len(others)
            verdicts = Counter(map(itemgetter(0), self._outcomes[place:end]))
            counts = tally[first.tenant_id, read.day]
            counts["copies"] += verdicts["copy"]
            counts["received"] += end - place - verdicts["copy"]
            counts["accepted"] += verdicts["accepted"]
            counts["duplicates"] += verdicts["duplicate"]
            counts["dead_letters"] += verdicts["refused"] + verdicts["conflict"]
            if (first.tenant_id, first.intake_id) in self._replayed and self._outcomes[place] is not COPY:
                # Received long ago, and a dead letter since.
                counts["received"] -= 1
                counts["dead_letters"] -= 1
            place = end
        accepted = [place for place in self._rows.firsts if self._outcomes[place] is ACCEPTED]
        for day, count in self._rows.late(accepted).items():
            tally[day]["late"] = count
        rows = [(*key, *(counts[name] for name in _TALLY_NAMES)) for key, counts in tally.items()]
        cursor.execute(_TALLY, _columns(rows))


def _refusal_of(verdict: Refused | RefusedBody) -> Refusal:
    if isinstance(verdict, RefusedBody):
        return Refusal(verdict.code, verdict.detail, verdict.facts)
    return verdict.refusal


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Rows as columns, which is how unnest takes them."""
    return [list(column) for column in zip(*rows, strict=True)]
