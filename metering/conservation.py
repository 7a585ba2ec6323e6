"""Conservation: what was received, and what became of it, counted from what is stored and never from answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db.models import Sum
from redis import RedisError

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant

from .decoding import decode
from .event import Submission
from .log import FIELD, redis_of, shard_of, stream_of
from .models import Event, LogEntry, LogPosition, Tally
from .packing import EntryUnreadable, submission_unpack

# An entry may have 10 MiB, and all that waits 2 GiB.
_ENTRIES_AT_ONCE = 10
_ENTRIES_MAX = 1_000
_TRIES = 5
# Of a tally, and so of a Conservation.
COUNTS = ("received", "accepted", "duplicates", "dead_letters", "late")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conservation:
    """Events received on some days, and where they are. late: those of the accepted that were older than 24 hours.

    A body that could not be read is one received event, and one dead letter.
    waiting: events of the tenant, of whatever day, that are in the log and not received here yet; None where that
    cannot be told: the log does not answer, more than 1,000 requests wait, or the writer is too quick to look at.
    """

    received: int
    accepted: int
    duplicates: int
    dead_letters: int
    late: int
    waiting: int | None

    @property
    def is_conserved(self) -> bool:
        return self.received == self.accepted + self.duplicates + self.dead_letters

    def __str__(self) -> str:
        """received 5 = accepted 3 + duplicates 1 + dead letters 1"""
        sign = "=" if self.is_conserved else "≠"
        return (
            f"received {self.received:,} {sign} accepted {self.accepted:,} + duplicates {self.duplicates:,}"
            f" + dead letters {self.dead_letters:,}"
        )


def conservation_between(before: Conservation, after: Conservation) -> Conservation:
    """What was received between two looks at the same tenant."""
    return Conservation(
        **{name: getattr(after, name) - getattr(before, name) for name in COUNTS}, waiting=after.waiting
    )


def conservation_for(
    tenant: Tenant, *, first_on: date | None = None, last_on: date | None = None
) -> Conservation:
    """The tally of a tenant over UTC days of receipt, both included; without bounds over all time."""
    days = Tally.objects.filter(tenant=tenant)
    if first_on is not None:
        days = days.filter(day__gte=first_on)
    if last_on is not None:
        days = days.filter(day__lte=last_on)
    for _ in range(_TRIES):
        # The writer moves its position with the tally: while it stays, both are of one moment.
        position = _position(tenant)
        sums = days.aggregate(**{name: Sum(name, default=0) for name in COUNTS})
        waiting = _waiting(tenant, position)
        if position == _position(tenant):
            break
    else:
        waiting = None
    return Conservation(**{name: int(sums[name]) for name in COUNTS}, waiting=waiting)


def events_stored(tenant: Tenant) -> int:
    """How many events the store holds of a tenant, over all time; the tally's `accepted` must be the same."""
    return Event.objects.filter(tenant=tenant).count()


def _position(tenant: Tenant) -> tuple[str, tuple[int, ...]]:
    """Up to where the tenant's shard of the log is rows, and which rows wait beside the log."""
    shard = shard_of(tenant.pk)
    last_id = LogPosition.objects.filter(shard=shard).values_list("last_id", flat=True).first()
    rows = LogEntry.objects.filter(shard=shard, problem="").order_by("pk").values_list("pk", flat=True)
    return last_id or "0-0", tuple(rows[: _ENTRIES_MAX + 1])


def _waiting(tenant: Tenant, position: tuple[str, tuple[int, ...]]) -> int | None:
    waiting = 0
    try:
        for count, entry in enumerate(_entries(shard_of(tenant.pk), *position)):
            if count == _ENTRIES_MAX:
                return None
            waiting += _events(tenant, entry)
    except RedisError as error:
        logger.warning("The log could not be asked for what waits: %s", error)
        return None
    return waiting


def _entries(shard: int, last_id: str, rows: tuple[int, ...]) -> Iterator[bytes]:
    for row in LogEntry.objects.filter(pk__in=rows).iterator(chunk_size=_ENTRIES_AT_ONCE):
        yield bytes(row.body)
    with redis_of(settings.LOG_REDIS_URL, settings.LOG_TIMEOUT_S) as client:
        while found := client.xrange(stream_of(shard), min=f"({last_id}", count=_ENTRIES_AT_ONCE):
            yield from (entry[FIELD] for _, entry in found)
            last_id = found[-1][0].decode()


def _events(tenant: Tenant, entry: bytes) -> int:
    try:
        submission: Submission = submission_unpack(entry)
        if submission.tenant_id != tenant.pk:
            return 0
        return 1 if submission.refused_body is not None else len(decode(submission))
    except (EntryUnreadable, Problem):
        # Either becomes one dead letter.
        return 1
