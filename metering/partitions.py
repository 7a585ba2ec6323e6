"""The months of metering_event: one partition a calendar month (UTC), made when the first event of the month comes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from django.db import connection, transaction

from aforo.kernel.periods import month_later

# PostgreSQL's advisory locks have numbers; this one is held while months are made.
LOCK = 0x6166_6D6F

_PRESENT = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metering_event'::regclass"


def months_ensure(instants: Iterable[datetime]) -> None:
    """Make the partitions that hold these instants, where they are not there yet.

    Any number of processes may ask for the same month at once. Readers and writers of other months do not wait.

    2026-03-15T11:59Z makes metering_event_2026_03, which holds [2026-03-01T00:00Z, 2026-04-01T00:00Z).
    """
    wanted = {partition_of(instant): instant for instant in instants}
    if not wanted.keys() - _present():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for name in sorted(wanted.keys() - _present()):
            first = wanted[name].astimezone(UTC).date().replace(day=1)
            # Made beside and attached: to create it in place would lock the whole table against readers.
            cursor.execute(
                f"CREATE TABLE {name} (LIKE metering_event);"
                f"ALTER TABLE metering_event ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{first} 00:00+00') TO ('{month_later(first, 1)} 00:00+00')"
            )


def partition_of(instant: datetime) -> str:
    """The name of the partition that holds an instant."""
    return partition_name(instant.astimezone(UTC).date())


def partition_name(month: date) -> str:
    """The name of a month's partition, by one of its days."""
    return f"metering_event_{month.year:04}_{month.month:02}"


def months_present() -> list[date]:
    """The first days of the months that have a partition, the oldest first."""
    return sorted(date(int(name[-7:-3]), int(name[-2:]), 1) for name in _present())


def _present() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_PRESENT)
        return {name for (name,) in cursor.fetchall()}
