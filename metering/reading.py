"""Submissions as the writer reads them: what was accepted, if it still stands, and all else judged again, at its receipt."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date

import msgspec
from django.db import Error as StoreError

from aforo.kernel.errors import Problem, Refusal

from .decoding import decode
from .event import Accepted, Refused, RefusedBody, Submission
from .intake import accept_each
from .log import entry_insert, shard_of
from .packing import accepted_unpack, submission_pack
from .ports import Directory
from .raw_events import RawEvents, located
from .selectors.directory import directory_for

# Classes of SQLSTATE that are the row's own fault: cardinality, data, integrity, and a limit of the program.
_POISON = frozenset({"21", "22", "23", "54"})

_logger = logging.getLogger(__name__)


def is_outage(error: Exception) -> bool:
    """Whether the store is away, busy or not as expected, so that the same may succeed later; else a row is to blame."""
    if not isinstance(error, StoreError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state[:2] not in _POISON


@dataclass(slots=True, eq=False)
class Read:
    """A submission with the verdicts on the events of its body.

    directory: what the verdicts were given by. is_repeated: the same submission stands before it in the batch.
    received, day: its time of receipt as text, and the UTC day it counts for.
    fault: our own code failed on it; it has no verdicts, and is to be set aside.
    """

    submission: Submission
    directory: Directory
    is_repeated: bool
    received: str
    day: date
    verdicts: Sequence[Accepted | Refused | RefusedBody] = ()
    fault: Exception | None = None
    is_set_aside: bool = False
    _raws: RawEvents | None = None

    @property
    def raws(self) -> RawEvents:
        """The events as they stand in the body, which is decoded when somebody asks. Raises Problem."""
        if self._raws is None:
            self._raws = decode(self.submission)
        return self._raws

    def set_aside(self, error: Exception) -> None:
        """Keep the whole submission for a person to look at (LogEntry.problem), so that others pass."""
        if self.is_set_aside:
            return
        submission = self.submission
        _logger.error(
            "submission set aside, tenant=%s intake_id=%s",
            submission.tenant_id,
            submission.intake_id,
            exc_info=error,
        )
        entry_insert(
            shard_of(submission.tenant_id), submission_pack(submission), problem=str(error) or repr(error)
        )
        self.is_set_aside = True


class Item(msgspec.Struct, gc=False):
    """One event of a submission, and the verdict on it."""

    read: Read
    tenant_id: int
    intake_id: int
    index: int
    verdict: Accepted | Refused | RefusedBody

    def refused(self, refusal: Refusal) -> Item:
        """The item as refused after all, with the raw event that it was made of."""
        if isinstance(self.verdict, RefusedBody):
            return self
        key = self.verdict.event.idempotency_key if isinstance(self.verdict, Accepted) else None
        raws = self.read.raws
        refused = Refused(located(refusal, raws.lines, self.index), key, raws[self.index], self.index)
        return msgspec.structs.replace(self, verdict=refused)


def reads_of(submissions: Iterable[Submission]) -> list[Read]:
    """The submissions of one batch with their verdicts.

    Raises django.db.Error where the store has to be asked for a name and is away.
    """
    directories: dict[int, Directory] = {}
    seen: set[tuple[int, int]] = set()
    reads = []
    for submission in submissions:
        tenant_id = submission.tenant_id
        if tenant_id not in directories:
            directories[tenant_id] = directory_for(tenant_id)
        intake = tenant_id, submission.intake_id
        reads.append(_read(submission, directories[tenant_id], is_repeated=intake in seen))
        seen.add(intake)
    return reads


def _read(submission: Submission, directory: Directory, *, is_repeated: bool) -> Read:
    read = Read(
        submission=submission,
        directory=directory,
        is_repeated=is_repeated,
        received=submission.received_at.isoformat(),
        day=submission.received_at.astimezone(UTC).date(),
    )
    try:
        if submission.refused_body is None:
            read.verdicts = _accepted(submission, directory) or accept_each(read.raws, submission, directory)
        else:
            read.verdicts = (submission.refused_body,)
    except Problem as problem:
        read.verdicts = (RefusedBody.of(problem, submission.body),)
    except Exception as error:
        if is_outage(error):
            raise
        read.fault = error
    return read


def _accepted(submission: Submission, directory: Directory) -> list[Accepted] | None:
    """What intake accepted when the submission was received, where the directory still has all that it names.

    All else of a verdict depends on the submission alone and would come out the same.
    """
    if submission.accepted is None:
        return None
    verdicts = accepted_unpack(submission.accepted)
    directory.customers_expect({verdict.event.customer_id for verdict in verdicts})
    is_all_there = all(
        directory.meters_for(event.metric)
        and directory.customer(event.customer_id)
        and not event.quantity.is_signed()
        for event in (verdict.event for verdict in verdicts)
    )
    return verdicts if is_all_there else None


def items_of(reads: Sequence[Read]) -> Iterator[Item]:
    """Every event of the submissions, in order."""
    for read in reads:
        submission = read.submission
        for index, verdict in enumerate(read.verdicts):
            yield Item(read, submission.tenant_id, submission.intake_id_of(index), index, verdict)
