"""Conservation: what was received, and what became of it, counted from what is stored and never from answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date

from django.db.models import Sum
from redis import RedisError

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant

from .decoding import decode
from .event import Submission
from .models import Correction, Event, Tally
from .selectors.archive import archive_files_for
from .waiting import TooMuchWaits, Waiting, submissions_in, waiting_for

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
        waiting = waiting_for(tenant)
        sums = days.aggregate(**{name: Sum(name, default=0) for name in COUNTS})
        count = _counted(tenant, waiting)
        if waiting == waiting_for(tenant):
            break
    else:
        count = None
    return Conservation(**{name: int(sums[name]) for name in COUNTS}, waiting=count)


def events_stored(tenant: Tenant) -> int:
    """How many events the store holds of a tenant, over all time; the tally's `accepted` must be the same.

    Those in the archive are counted with them. What a correction put in an event's place was not received and is not counted.
    """
    replacements = Correction.objects.of(tenant).filter(replacement__isnull=False)
    archived = archive_files_for(tenant).aggregate(rows=Sum("rows", default=0))["rows"]
    return int(archived) + Event.objects.filter(tenant=tenant).count() - replacements.count()


def _counted(tenant: Tenant, waiting: Waiting) -> int | None:
    try:
        return sum(_events(submission) for submission in submissions_in(tenant, waiting))
    except TooMuchWaits:
        return None
    except RedisError as error:
        logger.warning("The log could not be asked for what waits: %s", error)
        return None


def _events(submission: Submission) -> int:
    try:
        return 1 if submission.refused_body is not None else len(decode(submission))
    except Problem:
        # It becomes one dead letter.
        return 1
