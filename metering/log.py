"""The durable log: where a submission is on disk before its sender reads 202.

log     one entry in the Redis stream of the tenant's shard, fsynced before it is answered
store   one row, inserted synchronously, where the log does not answer
spool   a file on this host, where the operator configured a folder and the store does not answer either

Whatever fails after it was sent may have been kept all the same; the next step then keeps a second copy with the same
intake id, which the writer tells from a client's retry.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import Error as StoreError
from django.db import connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from aforo.kernel.breaker import Breaker
from aforo.kernel.clock import now
from aforo.kernel.errors import Problem

from .event import Submission
from .packing import submission_pack
from .spool import Spool, SpoolFull

# As the header Aforo-Durability says it. "log-everysec": by the operator's choice a power cut may take the last second.
Durability = Literal["log", "log-everysec", "store", "spool"]

FIELD = b"s"
LOOK_EVERY_S = 1.0
RETRY_AFTER_S = 2

_logger = logging.getLogger(__name__)


def append(submission: Submission, *, meanwhile: Callable[[], object] = lambda: None) -> Durability:
    """Keep a submission and return once it is on disk; the writer makes rows of it.

    meanwhile: what can be done while the log's disk works; not called where the log is not asked.
    Raises Problem("storage_unavailable") with retry_after_s where nothing durable can be reached, or where the writer
    is so far behind that the log is full.
    """
    entry = submission_pack(submission)
    shard = shard_of(submission.tenant_id)
    log = _log(
        settings.LOG_REDIS_URL, settings.LOG_TIMEOUT_S, settings.LOG_APPENDFSYNC, settings.LOG_BYTES_MAX
    )
    if log.breaker.lets_through():
        try:
            durability = log.append(shard, entry, meanwhile)
        except (RedisError, OSError, LogNotDurable) as error:
            log.breaker.failed()
            _logger.warning("log away, shard=%s: %s", shard, error)
        else:
            log.breaker.succeeded()
            return durability
    try:
        entry_insert(shard, entry)
    except StoreError as error:
        _logger.warning("store away, shard=%s: %s", shard, error)
    else:
        return "store"
    if settings.LOG_SPOOL_DIR:
        try:
            _spool(settings.LOG_SPOOL_DIR, settings.LOG_SPOOL_BYTES_MAX).append(entry)
        except SpoolFull as error:
            _logger.error("spool full: %s", error)
        else:
            return "spool"
    raise Problem(
        "storage_unavailable", "Neither the log nor the store can be reached.", retry_after_s=RETRY_AFTER_S
    )


def shard_of(tenant_id: int) -> int:
    """The shard of a tenant's submissions, from 0 to LOG_SHARDS − 1; one writer reads a shard."""
    # Not the number itself: live and test tenants are made in pairs, so that all live ones are odd.
    return zlib.crc32(b"%d" % tenant_id) % settings.LOG_SHARDS


def stream_of(shard: int) -> str:
    """The key of a shard's stream."""
    return f"aforo:log:{shard}"


def redis_of(url: str, timeout_s: float, **options: Any) -> Redis:
    """A client of the log that never repeats a command by itself: what comes next is our decision."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        **options,
    )


class LogNotDurable(Exception):
    """The server does not write to disk before it answers, or does not say; the message is a sentence."""


class Log:
    """This process's client of the log.

    appendfsync_allowed: "always", or "everysec" by the operator's choice.
    bytes_max: memory of the server beyond which nothing is appended. The kept entries that were read already are the
        writer's to trim, which it does at half of it.
    """

    def __init__(self, url: str, timeout_s: float, appendfsync_allowed: str, bytes_max: int) -> None:
        self.breaker = Breaker()
        self._redis = redis_of(url, timeout_s, redis_connect_func=self._connected)
        self._appendfsync_allowed = appendfsync_allowed
        self._bytes_max = bytes_max
        self._durability: Durability = "log"
        self._bytes = 0
        self._looked_at_s: float | None = None

    def append(self, shard: int, entry: bytes, meanwhile: Callable[[], object]) -> Durability:
        """Append one entry to the shard's stream; call *meanwhile* between the order and its answer.

        Raises Problem("storage_unavailable") where the log is full, LogNotDurable, RedisError or OSError.
        """
        if self._bytes > self._bytes_max:
            self._look()
            if self._bytes > self._bytes_max:
                raise Problem(
                    "storage_unavailable",
                    f"The log holds {self._bytes:,} bytes that wait for the writer; up to {self._bytes_max:,} are kept.",
                    retry_after_s=RETRY_AFTER_S,
                )
        self._xadd(stream_of(shard), entry, meanwhile)
        # After the append and before the answer: it may have gone over a new connection, to a server that changed.
        if self._looked_at_s is None or time.monotonic() - self._looked_at_s > LOOK_EVERY_S:
            self._look()
        return self._durability

    def _xadd(self, stream: str, entry: bytes, meanwhile: Callable[[], object]) -> None:
        pool = self._redis.connection_pool
        log_connection = pool.get_connection()
        try:
            log_connection.send_command("XADD", stream, "*", FIELD, entry)
            try:
                meanwhile()
            except BaseException:
                # The next to use the connection would read this order's answer.
                log_connection.disconnect()
                raise
            log_connection.read_response()
        finally:
            pool.release(log_connection)

    def _connected(self, redis_connection: Any) -> None:
        redis_connection.on_connect()
        self._looked_at_s = None

    def _look(self) -> None:
        """Read how the server keeps what it is given, and how much it holds. Raises LogNotDurable."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.config_get("append*")
        pipe.info("memory")
        config, memory = pipe.execute()
        self._durability = _durability_of(config, self._appendfsync_allowed)
        self._bytes = memory["used_memory"]
        self._looked_at_s = time.monotonic()


def _durability_of(config: dict[str, str], allowed: str) -> Durability:
    found = config.get("appendfsync", "unknown")
    if config.get("appendonly") == "yes":
        if found == "always":
            return "log"
        if found == "everysec" == allowed:
            return "log-everysec"
    raise LogNotDurable(
        f"the log has appendonly {config.get('appendonly', 'unknown')} and appendfsync {found}; "
        f"yes and {allowed} are demanded"
    )


@lru_cache(maxsize=4)
def _log(url: str, timeout_s: float, appendfsync_allowed: str, bytes_max: int) -> Log:
    return Log(url, timeout_s, appendfsync_allowed, bytes_max)


@lru_cache(maxsize=4)
def _spool(folder: str, bytes_max: int) -> Spool:
    return Spool(Path(folder), bytes_max=bytes_max)


# The setting counts when the statement commits: on disk, whatever the database's default is.
_INSERT = """
INSERT INTO metering_logentry (shard, body, created_at, problem)
SELECT %s, %s, %s, %s FROM set_config('synchronous_commit', 'on', true)
"""


def entry_insert(shard: int, entry: bytes, *, problem: str = "") -> None:
    """Keep an entry as a row, on disk when this returns; problem: see LogEntry.

    Raises django.db.Error.
    """
    is_fresh = connection.connection is None
    try:
        _entry_insert(shard, entry, problem)
    except StoreError:
        if is_fresh or connection.in_atomic_block:
            raise
        connection.close_if_unusable_or_obsolete()
        if connection.connection is not None:
            raise
        # The server was restarted since this connection was last used.
        _entry_insert(shard, entry, problem)


def _entry_insert(shard: int, entry: bytes, problem: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [shard, entry, now(), problem])
