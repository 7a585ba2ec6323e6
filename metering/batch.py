"""A batch of submissions to rows: identities, events, buckets, dead letters and the tally, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from aforo.kernel.errors import Refusal

from .event import Submission


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


def store(submissions: Sequence[Submission], *, is_replay: bool = False) -> list[list[Outcome]]:
    """Make rows of submissions, in one transaction (a savepoint, if there is one already).

    is_replay: each submission is one dead letter sent again, with the letter's intake id and time of receipt. The tally
        moves it from dead letters to where it ends, and a refused one files no second letter; the letter's own row is
        the caller's to change, in the same transaction.
    Returns for each submission the outcomes of its events, in their order.
    """
    raise NotImplementedError
