"""The writer: what the log kept becomes rows, one shard at a time, and the log forgets it an hour later.

While a batch is written, the next one is read and judged in a second thread, because the store works for most of that
time. One transaction a batch holds the rows and the position behind them (LogPosition). A crash at any point repeats a batch,
and a repeated batch changes nothing (batch.py). One writer a shard works, by an advisory lock on its connection; others
wait, and take over when it is gone. What fell back to the store or to the spool is read beside the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import Error as StoreError
from django.db import close_old_connections, connections, transaction
from redis import Redis, RedisError

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.locks import SessionLock

from .batch import Batch, batch_store
from .log import FIELD, entry_insert, redis_of, shard_of, stream_of
from .models import DUPLICATES_KEPT, Duplicate, LogEntry, LogPosition
from .packing import EntryUnreadable, submission_unpack
from .reading import reads_of
from .spool import spool_drain

# PostgreSQL's advisory locks have two numbers: this one, and the shard.
LOCK = 0x6166_6F72
START = "0-0"

# A batch is about so many events: enough to share a commit among, few enough to be visible within a fraction of a second.
BATCH_EVENTS = 5_000
ENTRIES_MAX = 500
ENTRIES_FIRST = 4

# Fewer are a small batch, after whose start the next one waits so long: visible at once, or with others a moment later.
SMALL_EVENTS = 500
LINGER_S = 0.2

BLOCK_MS = 500
ANSWER_S = 5.0
PAUSE_S = 0.5
SPOOL_EVERY_S = 1.0
TRIM_EVERY_S = 10.0
PRUNE_EVERY_S = 86_400.0
REPORT_EVERY_S = 10.0
KEPT_MS = 3_600_000
# A writer that the store has not heard for so long has lost its shard; one that works is heard twice a second.
STALLED_S = 15
# What a writer that was told to end may still read, before its supervisor loses patience.
LAST_S = 20.0

_logger = logging.getLogger(__name__)


class PositionMoved(Exception):
    """Somebody else moved the shard's position; what was read under the old one is not written."""


class Writer:
    """Writes one shard.

    stop: set by another thread or a signal, to end `run` after what has arrived by then is written.
    """

    def __init__(self, shard: int, stop: threading.Event | None = None) -> None:
        self.shard = shard
        self._stop = stop or threading.Event()
        self._stream = stream_of(shard)
        self._redis: Redis = redis_of(settings.LOG_REDIS_URL, ANSWER_S)
        self._lock = SessionLock(LOCK, shard, stalled_s=STALLED_S)
        # The log's epoch and our place in it; None while we do not know the server's state.
        self._epoch: str | None = None
        self._last_id = START
        self._entries = ENTRIES_FIRST
        # Reads on while a batch is written; only `run` has it.
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: _Ahead | None = None
        self._written_at_s = 0.0
        self._is_small = False
        self._log_due_s = 0.0
        self._is_log_away = False
        self._done = _Done(shard)
        self._due_s: dict[str, float] = {}

    def run(self) -> None:
        """Write until told to stop, then what is left. Log or store away: wait, and go on when they are back."""
        _logger.info("shard=%s writer starts", self.shard)
        self._reader = ThreadPoolExecutor(1)
        trouble = ""
        while not self._stop.is_set():
            try:
                if not self._hold():
                    self._stop.wait(PAUSE_S)
                    continue
                self._turn(block_ms=BLOCK_MS)
                self._linger()
                if trouble:
                    _logger.info("shard=%s writes again", self.shard)
                    trouble = ""
            except (StoreError, PositionMoved) as error:
                if _first_line(error) != trouble:
                    trouble = _first_line(error)
                    _logger.warning("shard=%s cannot write, waiting: %s", self.shard, trouble)
                self._let_go()
                self._stop.wait(PAUSE_S)
        self._finish()
        self._reader.submit(connections.close_all)
        self._reader.shutdown()
        _logger.info("shard=%s writer ends", self.shard)

    def _linger(self) -> None:
        """Let a few events gather: a transaction costs as much for one as for a hundred."""
        if self._is_small:
            self._stop.wait(max(0.0, self._written_at_s + LINGER_S - time.monotonic()))

    def drain(self) -> int:
        """Write all that waits, and return how many entries that was; where another writer has the shard, wait for it.

        Raises django.db.Error or RedisError where log or store cannot be reached.
        """
        count = 0
        try:
            while not self._hold():
                if self._is_drained():
                    return count
                time.sleep(PAUSE_S / 10)
            while done := self._turn(block_ms=None, is_patient=False):
                count += done
        finally:
            self._let_go()
        return count

    def _turn(self, *, block_ms: int | None, is_patient: bool = True) -> int:
        """Read and write one batch from each source; returns how many entries were written.

        block_ms: how long to wait for the log, None for not at all. is_patient: a log that is away is tried again later.
        """
        self._spool_drain()
        count = self._rows_write()
        try:
            if time.monotonic() >= self._log_due_s:
                count += self._log_write(None if count else block_ms)
                if self._is_log_away:
                    _logger.info("shard=%s log is back", self.shard)
                self._is_log_away = False
                self._log_trim()
            elif not count and block_ms is not None:
                self._stop.wait(block_ms / 1000)
        except (RedisError, OSError) as error:
            if not is_patient:
                raise
            if not self._is_log_away:
                _logger.warning("shard=%s log away, waiting: %s", self.shard, _first_line(error))
            self._is_log_away = True
            self._epoch = None
            self._log_due_s = time.monotonic() + PAUSE_S
        self._duplicates_prune()
        self._done.report()
        return count

    def _finish(self) -> None:
        """After the order to end: what has arrived by then, unless something is away."""
        until_s = time.monotonic() + LAST_S
        try:
            if self._lock.is_held:
                while self._turn(block_ms=None, is_patient=False) and time.monotonic() < until_s:
                    pass
        except (StoreError, PositionMoved, RedisError, OSError) as error:
            _logger.warning("shard=%s ends with entries left in the log: %s", self.shard, _first_line(error))
        finally:
            self._done.report(is_last=True)
            self._let_go()

    def _hold(self) -> bool:
        """Whether this writer has the shard; asks for it if not."""
        if self._lock.is_held:
            return True
        if self._lock.take():
            self._epoch = None
            _logger.info("shard=%s writer has the shard", self.shard)
        return self._lock.is_held

    def _let_go(self) -> None:
        """Give the shard up, and the connection that holds it."""
        self._lock.let_go()
        self._epoch = None

    def _log_write(self, block_ms: int | None) -> int:
        if self._epoch is None:
            self._log_meet()
        batch = self._taken_ahead() or self._log_read(self._last_id, block_ms)
        if batch is None:
            return 0
        if _text(self._redis.get(self._epoch_key)) != self._epoch:
            self._epoch = None
            return 1
        if self._reader and batch.count >= self._entries:
            reading = self._reader.submit(self._log_read_ahead, batch.last_id)
            self._ahead = _Ahead(self._epoch, batch.last_id, reading)
        self._write(batch, lambda: self._position_move(batch.last_id))
        self._last_id = batch.last_id
        return batch.count

    def _log_read(self, last_id: str, block_ms: int | None) -> _Entries | None:
        """What the log holds behind an entry, judged; None where nothing came in time."""
        answer = self._redis.xread({self._stream: last_id}, count=self._entries, block=block_ms)
        if not answer:
            return None
        ((_, entries),) = answer
        return _entries_of([fields[FIELD] for _, fields in entries], _text(entries[-1][0]))

    def _log_read_ahead(self, last_id: str) -> _Entries | None:
        # The thread has a connection of its own to the store.
        close_old_connections()
        return self._log_read(last_id, None)

    def _taken_ahead(self) -> _Entries | None:
        """What was read while the batch before was written, if that has moved us to where it begins."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or (ahead.epoch, ahead.after) != (self._epoch, self._last_id):
            return None
        return ahead.reading.result()

    @property
    def _epoch_key(self) -> str:
        return f"{self._stream}:epoch"

    def _log_meet(self) -> None:
        """Find our place in the log as it is now.

        The entry at our place is never trimmed. A log that lacks it, or has another name of itself, was emptied, restored
        or cut: it is read from its start, which repeats what it has in common with the old one.
        """
        self._redis.set(self._epoch_key, str(uuid7()), nx=True)
        epoch = _text(self._redis.get(self._epoch_key))
        position, _ = LogPosition.objects.get_or_create(shard=self.shard)
        last_id = position.last_id
        is_other = position.epoch not in ("", epoch)
        if is_other or (last_id != START and not self._redis.xrange(self._stream, last_id, last_id)):
            _logger.error(
                "INCIDENT shard=%s the log is another one (epoch %s, was %s) or lacks its entry %s: reading it from its start; "
                "compare what senders have kept with what was received",
                self.shard,
                epoch,
                position.epoch,
                last_id,
            )
            last_id = START
        if (position.epoch, position.last_id) != (epoch, last_id):
            _position_set(self.shard, (position.epoch, position.last_id), (epoch, last_id))
        self._epoch, self._last_id = epoch, last_id

    def _position_move(self, last_id: str) -> None:
        _position_set(self.shard, (self._epoch or "", self._last_id), (self._epoch or "", last_id))

    def _rows_write(self) -> int:
        """What fell back to the store, oldest first."""
        rows = list(
            LogEntry.objects.filter(shard=self.shard, problem="")
            .order_by("id")
            .values_list("id", "body")[: self._entries]
        )
        if rows:
            ids = [row_id for row_id, _ in rows]
            self._write(
                _entries_of([bytes(body) for _, body in rows]),
                lambda: LogEntry.objects.filter(id__in=ids, problem="").delete(),
            )
        return len(rows)

    def _spool_drain(self) -> None:
        """Hand this host's spool to the store, where the writer of each entry's shard finds it."""
        if not settings.LOG_SPOOL_DIR or not self._is_due("spool", SPOOL_EVERY_S):
            return
        try:
            count = spool_drain(Path(settings.LOG_SPOOL_DIR), _entries_insert)
        except OSError as error:
            _logger.error("shard=%s spool cannot be read: %s", self.shard, error)
            return
        if count:
            _logger.info("shard=%s spool entries=%s handed to the store", self.shard, count)

    def _write(self, batch: _Entries, move: Callable[[], object]) -> None:
        """Make rows of a batch and move on behind it, in one transaction."""
        self._written_at_s = started_s = time.monotonic()
        with transaction.atomic():
            for entry, problem in batch.unreadable:
                _logger.error("shard=%s entry set aside: %s", self.shard, problem)
                entry_insert(self.shard, entry, problem=problem)
            outcomes = batch_store(batch.ready)
            move()
        events = sum(map(len, outcomes))
        self._done.add(batch.count, events, time.monotonic() - started_s)
        self._is_small = events < SMALL_EVENTS
        self._entries = max(1, min(ENTRIES_MAX, BATCH_EVENTS * batch.count // max(1, events)))

    def _log_trim(self) -> None:
        """Forget what was read more than an hour ago, or all of it where the log fills up; never what was not read.

        The hour refills a store that was replaced by a standby a little behind it.
        """
        if self._last_id == START or not self._is_due("trim", TRIM_EVERY_S):
            return
        minid = self._last_id
        if self._redis.info("memory")["used_memory"] < settings.LOG_BYTES_MAX // 2:
            minid = f"{max(0, int(minid.partition('-')[0]) - KEPT_MS)}-0"
        self._redis.xtrim(self._stream, minid=minid, approximate=False)

    def _duplicates_prune(self) -> None:
        if self._is_due("prune", PRUNE_EVERY_S):
            Duplicate.objects.filter(counted_at__lt=now() - DUPLICATES_KEPT).delete()

    def _is_due(self, name: str, every_s: float) -> bool:
        present_s = time.monotonic()
        if present_s < self._due_s.get(name, 0.0):
            return False
        self._due_s[name] = present_s + every_s
        return True

    def _is_drained(self) -> bool:
        """Whether the shard's present writer has written all that waited."""
        position = LogPosition.objects.filter(shard=self.shard).first()
        last_id = position.last_id if position else START
        return (
            not self._redis.xread({self._stream: last_id}, count=1)
            and not LogEntry.objects.filter(shard=self.shard, problem="").exists()
        )


class _Entries(NamedTuple):
    """Entries of one source, made ready to be written.

    count: entries. unreadable: those that are none, and why. last_id: of the last one in the log.
    """

    count: int
    ready: Batch
    unreadable: list[tuple[bytes, str]]
    last_id: str


class _Ahead(NamedTuple):
    """What is being read of the log of this epoch, behind this entry."""

    epoch: str
    after: str
    reading: Future[_Entries | None]


def _entries_of(entries: Sequence[bytes], last_id: str = START) -> _Entries:
    submissions, unreadable = [], []
    for entry in entries:
        try:
            submissions.append(submission_unpack(entry))
        except EntryUnreadable as error:
            unreadable.append((entry, str(error)))
    return _Entries(len(entries), Batch.of(reads_of(submissions)), unreadable, last_id)


class _Done:
    """What was written since the last report, said in one line every ten seconds of work."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._entries = self._events = 0
        self._seconds = 0.0
        self._due_s = 0.0

    def add(self, entries: int, events: int, seconds: float) -> None:
        self._entries += entries
        self._events += events
        self._seconds += seconds

    def report(self, *, is_last: bool = False) -> None:
        if not self._entries or (time.monotonic() < self._due_s and not is_last):
            return
        _logger.info(
            "shard=%s entries=%s events=%s busy_s=%.2f",
            self._shard,
            self._entries,
            self._events,
            self._seconds,
        )
        self._entries = self._events = 0
        self._seconds = 0.0
        self._due_s = time.monotonic() + REPORT_EVERY_S


def _position_set(shard: int, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Move the shard's position from (epoch, id) to (epoch, id). Raises PositionMoved where it is not the old one."""
    moved = LogPosition.objects.filter(shard=shard, epoch=old[0], last_id=old[1]).update(
        epoch=new[0], last_id=new[1], moved_at=now()
    )
    if not moved:
        raise PositionMoved(f"the position of shard {shard} is no longer {old[1]}")


def _entries_insert(entries: list[bytes]) -> None:
    with transaction.atomic():
        for entry in entries:
            try:
                shard, problem = shard_of(submission_unpack(entry).tenant_id), ""
            except EntryUnreadable as error:
                shard, problem = 0, str(error)
            entry_insert(shard, entry, problem=problem)


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
