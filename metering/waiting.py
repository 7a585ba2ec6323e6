"""What is in the log, or in its fallback, and not yet rows: read for whoever asks, never taken away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant

from .decoding import DOORS_WITH_BASE64
from .event import Accepted, Submission
from .intake import accept_all
from .intake.identity import generated_key
from .log import FIELD, redis_of, shard_of, stream_of
from .models import LogEntry, LogPosition
from .packing import EntryUnreadable, submission_unpack
from .selectors.directory import directory_for

# An entry may have 10 MiB, and all that waits 2 GiB.
ENTRIES_AT_ONCE = 10
ENTRIES_MAX = 1_000


class Waiting(NamedTuple):
    """Up to where a shard of the log is rows, and which rows wait beside the log."""

    last_id: str
    rows: tuple[int, ...]


class TooMuchWaits(Exception):
    """More entries wait than are read for an answer."""


def waiting_for(tenant: Tenant) -> Waiting:
    """What waits in the tenant's shard; the writer moves it in the transaction that makes the rows."""
    shard = shard_of(tenant.pk)
    last_id = LogPosition.objects.filter(shard=shard).values_list("last_id", flat=True).first()
    rows = LogEntry.objects.filter(shard=shard, problem="").order_by("pk").values_list("pk", flat=True)
    return Waiting(last_id or "0-0", tuple(rows[: ENTRIES_MAX + 1]))


def submissions_in(tenant: Tenant, waiting: Waiting) -> Iterator[Submission]:
    """The tenant's submissions among what waits, in no particular order.

    Raises RedisError where the log does not answer, TooMuchWaits after 1,000 entries.
    """
    for count, entry in enumerate(_entries(shard_of(tenant.pk), waiting)):
        if count == ENTRIES_MAX:
            raise TooMuchWaits
        try:
            submission = submission_unpack(entry)
        except EntryUnreadable:
            # The writer sets it aside for a person to look at.
            continue
        if submission.tenant_id == tenant.pk:
            yield submission


def is_waiting(tenant: Tenant, key: str) -> bool:
    """Whether an event of this idempotency key waits and will be accepted, as far as can be told now.

    Raises RedisError or TooMuchWaits.
    """
    spellings = {key.encode(), key.encode("ascii", "backslashreplace"), key.rpartition(":")[0].encode()}
    for submission in submissions_in(tenant, waiting_for(tenant)):
        # Most submissions are told apart without being read: a key stands in the body or the header, or is made
        # of the intake id; base64 hides it.
        is_possible = (
            key.startswith(generated_key(0)[:4])
            or submission.door in DOORS_WITH_BASE64
            or any(spelling in submission.body for spelling in spellings)
            or (submission.idempotency_header or "").encode() in spellings
        )
        if is_possible and submission.refused_body is None and key in _keys(tenant, submission):
            return True
    return False


def _keys(tenant: Tenant, submission: Submission) -> set[str]:
    try:
        verdicts = accept_all(submission, directory_for(tenant.pk))
    except Problem:
        return set()
    return {one.event.idempotency_key for one in verdicts if isinstance(one, Accepted)}


def _entries(shard: int, waiting: Waiting) -> Iterator[bytes]:
    for row in LogEntry.objects.filter(pk__in=waiting.rows).iterator(chunk_size=ENTRIES_AT_ONCE):
        yield bytes(row.body)
    last_id = waiting.last_id
    with redis_of(settings.LOG_REDIS_URL, settings.LOG_TIMEOUT_S) as client:
        while found := client.xrange(stream_of(shard), min=f"({last_id}", count=ENTRIES_AT_ONCE):
            yield from (entry[FIELD] for _, entry in found)
            last_id = found[-1][0].decode()
