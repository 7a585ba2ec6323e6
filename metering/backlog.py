"""How far each shard's writer is behind: read for whoever asks, from the log, the store and this host's spool."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Length
from redis import Redis, RedisError

from aforo.kernel.clock import now

from .log import redis_of, stream_of
from .models import LogEntry, LogPosition
from .spool import spool_bytes
from .writer import LOCK, START

# What is looked at of a shard that is far behind: a longer look would hold up the log's own work by more than 10 ms.
ENTRIES_MAX = 1_000
BYTES_MAX = 16 * 1024 * 1024

_COUNT = f"""
local entries, bytes, last, first = 0, 0, ARGV[1], false
while entries < {ENTRIES_MAX} and bytes < {BYTES_MAX} do
    local found = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 10)
    if #found == 0 then return {{entries, bytes, first, 1}} end
    for _, entry in ipairs(found) do
        entries, bytes, last = entries + 1, bytes + #entry[2][2], entry[1]
        first = first or last
    end
end
return {{entries, bytes, first, 0}}
"""
_HOLDERS = """
SELECT objid, pid, host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid = %s AND granted
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardBacklog:
    """What of one shard is not rows yet.

    entries, bytes, oldest_s: in the log, unread, and how long the oldest waits; None where the log does not answer.
    is_counted_out: False where more wait than were counted.
    rows, rows_bytes, rows_oldest_s: what fell back to the store and waits there.
    set_aside: entries that a person must look at (LogEntry.problem).
    written_at: when the position last moved; None before the first batch.
    writer: the writer's session in PostgreSQL, as "pid 123 from 10.0.0.7"; None where nobody holds the shard.
    """

    shard: int
    entries: int | None
    bytes: int | None
    oldest_s: float | None
    is_counted_out: bool
    rows: int
    rows_bytes: int
    rows_oldest_s: float
    set_aside: int
    written_at: datetime | None
    writer: str | None

    @property
    def behind_s(self) -> float | None:
        """Age of the oldest submission that is not rows yet, 0 where none waits; None where that cannot be told."""
        return None if self.oldest_s is None else max(self.oldest_s, self.rows_oldest_s)


def backlogs() -> list[ShardBacklog]:
    """Every shard's, in order. Raises django.db.Error where the store does not answer."""
    present = now()
    positions = LogPosition.objects.in_bulk()
    waits = Q(problem="")
    rows = {
        row["shard"]: row
        for row in LogEntry.objects.values("shard").annotate(
            waiting=Count("id", filter=waits),
            bytes=Sum(Length("body"), filter=waits, default=0),
            oldest_at=Min("created_at", filter=waits),
            set_aside=Count("id", filter=~waits),
        )
    }
    writers = _writers()
    with redis_of(settings.LOG_REDIS_URL, settings.LOG_TIMEOUT_S) as client:
        return [
            _backlog(shard, client, positions.get(shard), rows.get(shard, {}), writers.get(shard), present)
            for shard in range(settings.LOG_SHARDS)
        ]


def spool_waiting_bytes() -> int:
    """What lies in this host's spool; 0 without one."""
    return spool_bytes(Path(settings.LOG_SPOOL_DIR)) if settings.LOG_SPOOL_DIR else 0


def _backlog(
    shard: int,
    client: Redis,
    position: LogPosition | None,
    row: Mapping[str, Any],
    writer: str | None,
    present: datetime,
) -> ShardBacklog:
    entries = size = oldest_s = None
    is_counted_out = False
    try:
        entries, size, first, is_out = client.eval(
            _COUNT, 1, stream_of(shard), position.last_id if position else START
        )
        oldest_s = _age_s(_instant_of(first.decode()) if first else None, present)
        is_counted_out = bool(is_out)
    except RedisError as error:
        _logger.warning("The log could not be asked for what waits: %s", error)
    return ShardBacklog(
        shard=shard,
        entries=entries,
        bytes=size,
        oldest_s=oldest_s,
        is_counted_out=is_counted_out,
        rows=row.get("waiting", 0),
        rows_bytes=row.get("bytes", 0),
        rows_oldest_s=_age_s(row.get("oldest_at"), present),
        set_aside=row.get("set_aside", 0),
        written_at=position.moved_at if position and position.last_id != START else None,
        writer=writer,
    )


def _writers() -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS, [LOCK])
        return {shard: f"pid {pid} from {host or 'this host'}" for shard, pid, host in cursor.fetchall()}


def _instant_of(entry_id: str) -> datetime:
    """An entry's id begins with the milliseconds of its arrival, by the log's clock."""
    return datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)


def _age_s(since: datetime | None, present: datetime) -> float:
    return 0.0 if since is None else max(0.0, (present - since).total_seconds())
