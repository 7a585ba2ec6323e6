"""Retention: whole months of events leave the database for files, and come back.

Identities stay, so that an old key is a duplicate or a conflict for ever; buckets, tallies and invoices stay. What needs
the events themselves says that they are archived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import month_later
from aforo.tenancy.models import Tenant

from ..archive import (
    ArchivedEvent,
    Written,
    events_read,
    events_write,
    file_check,
    manifest_write,
)
from ..models import ArchiveFile
from ..partitions import months_ensure, months_present, partition_name
from ..staging import copy_in, escaped_lines

# Events are accepted for 90 days; a month that old gets no more of them.
KEPT_MONTHS_MIN = 4
ROWS_AT_ONCE = 20_000
LOCK_TIMEOUT_MS = 5_000
# PostgreSQL's advisory locks have numbers; this one is held while a month is archived or restored.
LOCK = 0x6166_6172

_EVENTS = """
SELECT e.tenant_id, e.occurred_at, e.received_at, e.identity, e.context_id, e.is_late, e.quantity::text, e.key,
    e.properties::text, customer.external_id, context.metric, context.source
FROM {partition} e
JOIN metering_usagecontext context ON context.id = e.context_id
JOIN tenancy_customer customer ON customer.id = context.customer_id
ORDER BY e.tenant_id, e.occurred_at, e.identity
"""
_COLUMNS = "occurred_at, received_at, identity, tenant_id, context_id, is_late, quantity, key, properties"


class MonthRows(NamedTuple):
    """A month that can be archived, by its first day, and how many rows it has."""

    month: date
    rows: int


def months_due(*, kept_months: int) -> list[MonthRows]:
    """The months that are older than so many whole months before the present one, the oldest first.

    In November 2026 with 4 kept (July to October): June 2026 and older. Raises Problem input_invalid below 4.
    """
    if kept_months < KEPT_MONTHS_MIN:
        raise Problem(
            "input_invalid",
            f"At least {KEPT_MONTHS_MIN} months are kept: events are accepted for 90 days.",
        )
    first_kept = month_later(now().date().replace(day=1), -kept_months)
    due = [month for month in months_present() if month < first_kept]
    with connection.cursor() as cursor:
        rows = []
        for month in due:
            cursor.execute(f"SELECT count(*) FROM {partition_name(month)}")
            rows.append(MonthRows(month, cursor.fetchone()[0]))
    return rows


def month_archive(*, month: date, on_rows: Callable[[int], object] = lambda count: None) -> list[ArchiveFile]:
    """Write a month's events into files, read them back, and drop the rows; returns a file a tenant.

    on_rows: told how many more were written. Killed at any point, it has either dropped the month and noted its files, or
    changed nothing, and is run again.
    Raises Problem state_conflict where rows came in meanwhile or the table is busy, ArchiveDamaged or OSError where a file
    is not what was written; the rows are then still there.
    """
    _locked()
    try:
        if month not in months_present():
            raise Problem("not_found", f"There are no events of {month:%Y-%m}.")
        # Of an earlier time, whose rows came in later than its archive was made.
        part = ArchiveFile.objects.filter(month=month).count()
        folder = Path(settings.ARCHIVE_DIR)
        written: dict[int, Written] = {}
        for tenant_id, events in groupby(_events(month), key=itemgetter(0)):
            tenant = Tenant.objects.get(pk=tenant_id)
            name = f"{tenant.slug}-{tenant.environment}{f'.{part}' if part else ''}.parquet"
            told = _told((ArchivedEvent(*row[1:]) for row in events), on_rows)
            written[tenant_id] = events_write(folder / f"{month:%Y-%m}" / name, told)
        with transaction.atomic():
            _rows_drop(month, {tenant_id: one.rows for tenant_id, one in written.items()})
            files = ArchiveFile.objects.bulk_create(
                ArchiveFile(
                    tenant_id=tenant_id,
                    month=month,
                    path=str(one.path.relative_to(folder)),
                    rows=one.rows,
                    sha256=one.sha256,
                )
                for tenant_id, one in written.items()
            )
            # Before the commit: a month that is gone has its manifest.
            if files:
                _manifest(month)
        return files
    finally:
        _unlocked()


def month_restore(*, month: date, on_rows: Callable[[int], object] = lambda count: None) -> int:
    """Bring a month's events back from its files, which stay; returns how many. All of them, or none.

    Raises Problem not_found for a month that is not archived, ArchiveDamaged where a file is missing or was changed.
    """
    _locked()
    try:
        with transaction.atomic():
            files = list(ArchiveFile.objects.filter(month=month).order_by("path"))
            if not files:
                raise Problem("not_found", f"{month:%Y-%m} is not archived.")
            count = 0
            for file in files:
                path = Path(settings.ARCHIVE_DIR) / file.path
                file_check(path, file.sha256)
                for events in _chunks(events_read(path)):
                    months_ensure([events[0].occurred_at])
                    with connection.cursor() as cursor:
                        lines = [_line(event, file.tenant_id) for event in events]
                        copy_in(cursor, f"metering_event ({_COLUMNS})", lines)
                    count += len(events)
                    on_rows(len(events))
            ArchiveFile.objects.filter(month=month).delete()
        return count
    finally:
        _unlocked()


def _events(month: date) -> Iterator[tuple]:
    # A cursor of the server's: a month has more rows than memory.
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EVENTS.format(partition=partition_name(month)))
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows


def _told(events: Iterator[ArchivedEvent], on_rows: Callable[[int], object]) -> Iterator[ArchivedEvent]:
    for count, event in enumerate(events, start=1):
        yield event
        if count % 1_000 == 0:
            on_rows(1_000)
    on_rows(count % 1_000)


def _rows_drop(month: date, written: dict[int, int]) -> None:
    """Drop the month's rows, if they are still those that were written: rows are added, and never changed."""
    name = partition_name(month)
    with connection.cursor() as cursor:
        # Whoever reads meanwhile waits behind us: not for long.
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])
        cursor.execute("LOCK TABLE metering_event IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"SELECT tenant_id, count(*) FROM {name} GROUP BY tenant_id")
        if dict(cursor.fetchall()) != written:
            raise Problem("state_conflict", f"Events of {month:%Y-%m} came in meanwhile; archive it again.")
        cursor.execute(f"DROP TABLE {name}")


def _manifest(month: date) -> None:
    files = ArchiveFile.objects.filter(month=month).select_related("tenant").order_by("path")
    document = {
        "about": "Usage events that left the database; docs/metering/archive.md says how they come back.",
        "month": f"{month:%Y-%m}",
        "rows": sum(file.rows for file in files),
        "files": [
            {
                "tenant": file.tenant.slug,
                "environment": file.tenant.environment,
                "path": file.path,
                "rows": file.rows,
                "sha256": file.sha256,
            }
            for file in files
        ],
    }
    manifest_write(Path(settings.ARCHIVE_DIR) / f"{month:%Y-%m}", document)


def _chunks(events: Iterator[ArchivedEvent]) -> Iterator[list[ArchivedEvent]]:
    chunk: list[ArchivedEvent] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _line(event: ArchivedEvent, tenant_id: int) -> str:
    return (
        f"{_instant(event.occurred_at)}\t{_instant(event.received_at)}\t{event.identity}\t{tenant_id}\t{event.context_id}\t"
        f"{event.is_late}\t{event.quantity}\t{escaped_lines(event.key)}\t{escaped_lines(event.properties)}"
    )


def _instant(at: datetime) -> str:
    return at.isoformat()


def _locked() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise Problem("state_conflict", "Another command archives or restores at this moment.")


def _unlocked() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
