"""Dead letters: sent again through the same intake, or discarded with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant

from ..batch import Outcome, store
from ..dead_letters import CLOUD_EVENT, JSON, replay_of
from ..event import Accepted, Submission
from ..intake import accept_all
from ..intake.enrichment import UNKNOWN
from ..models import OPEN, DeadLetter, DeadLetterStatus
from ..selectors.dead_letters import dead_letter_for
from ..selectors.directory import directory_for

REPLAYED_AT_ONCE = 200


@transaction.atomic
def dead_letter_replay(
    *, tenant: Tenant, letter_id: UUID, actor: str, payload: bytes | None = None
) -> DeadLetter:
    """Send a refused event again, in place of the first time; the letter says where it ended. Locks the letter.

    payload: the event as corrected, one JSON object; None for as it was received, which the letter keeps.
    Judged at the original time of receipt, except that what lay in the future is judged now.
    A letter that was replayed stays as it is. Raises Problem not_found, input_invalid, or state_conflict for a
    discarded letter and for one that is no single whole event.
    """
    dead_letter_for(tenant, letter_id)
    letter = _locked(tenant, [letter_id])[0]
    if letter.status == DeadLetterStatus.DISCARDED:
        raise Problem("state_conflict", "The dead letter was discarded.")
    if letter.status in OPEN:
        _replay([_Replay.of(letter, payload)], actor)
    return letter


def dead_letters_replay(
    *, tenant: Tenant, letter_ids: Sequence[UUID], actor: str
) -> Iterator[list[DeadLetter]]:
    """Send many again, 200 in a transaction; yields the letters of each as they are done. See dead_letter_replay.

    Letters that are replayed or discarded already, or no single whole event, are left as they are.
    """
    for start in range(0, len(letter_ids), REPLAYED_AT_ONCE):
        with transaction.atomic():
            letters = _locked(tenant, letter_ids[start : start + REPLAYED_AT_ONCE])
            ready = []
            for letter in letters:
                try:
                    if letter.status in OPEN:
                        ready.append(_Replay.of(letter))
                except Problem:
                    continue
            _replay(ready, actor)
        yield letters


@transaction.atomic
def dead_letter_discard(*, tenant: Tenant, letter_id: UUID, reason: str, actor: str) -> DeadLetter:
    """Give a refused event up; it stays where it is, and counted. Discarding twice keeps the first reason.

    Locks the letter. Raises Problem not_found, or state_conflict for a letter that was replayed.
    """
    dead_letter_for(tenant, letter_id)
    letter = _locked(tenant, [letter_id])[0]
    if letter.status in OPEN:
        letter.status, letter.reason, letter.actor = DeadLetterStatus.DISCARDED, reason, actor
        letter.changed_at = now()
        letter.save(update_fields=["status", "reason", "actor", "changed_at"])
    elif letter.status != DeadLetterStatus.DISCARDED:
        raise Problem("state_conflict", f"The dead letter is {letter.status} and cannot be discarded.")
    return letter


def _locked(tenant: Tenant, letter_ids: Sequence[UUID]) -> list[DeadLetter]:
    rows = DeadLetter.objects.of(tenant).filter(pk__in=letter_ids).select_related("tenant")
    return list(rows.order_by("pk").select_for_update(of=("self",)))


@dataclass(frozen=True, slots=True)
class _Replay:
    """A letter about to be sent again. key: its event's, None where it will be refused. payload: if corrected."""

    letter: DeadLetter
    submission: Submission
    key: str | None
    payload: bytes | None

    @classmethod
    def of(cls, letter: DeadLetter, payload: bytes | None = None) -> _Replay:
        """Raises Problem state_conflict or input_invalid where the letter is no single whole event."""
        if payload is None and len(letter.payload) < letter.payload_length:
            raise Problem(
                "state_conflict",
                f"Of {letter.payload_length:,} bytes the first {len(letter.payload):,} are kept; give the event as payload.",
            )
        submission = replay_of(letter, payload)
        if payload is not None:
            is_cloud_event = submission.content_type == CLOUD_EVENT
            submission = msgspec.structs.replace(
                submission, content_type=CLOUD_EVENT if is_cloud_event else JSON, attributes=()
            )
        if letter.code == "timestamp_in_future":
            submission = msgspec.structs.replace(submission, judged_at=now())
        return cls(letter, submission, _key(submission), payload)


def _key(submission: Submission) -> str | None:
    try:
        verdicts = accept_all(submission, directory_for(submission.tenant_id))
    except Problem:
        return None
    if len(verdicts) > 1:
        raise Problem(
            "input_invalid",
            f"A dead letter is replayed as one event, not as {len(verdicts)}; send those anew and discard it.",
            errors={"payload": ["Give one event."]},
        )
    return verdicts[0].event.idempotency_key if isinstance(verdicts[0], Accepted) else None


def _replay(replays: Sequence[_Replay], actor: str) -> None:
    outcomes = store([replay.submission for replay in replays], is_replay=True)
    for replay, (outcome,) in zip(replays, outcomes, strict=True):
        letter = replay.letter
        if outcome.refusal is None:
            letter.status = DeadLetterStatus.REPLAYED
        elif outcome.refusal.code not in UNKNOWN:
            # What it waited for is there now, and no help.
            letter.status = DeadLetterStatus.NEW
        letter.attempts += 1
        letter.result = _result(replay, outcome)
        letter.actor, letter.changed_at = actor, now()
        letter.save(update_fields=["status", "attempts", "result", "actor", "changed_at"])


def _result(replay: _Replay, outcome: Outcome) -> dict[str, object]:
    """What the letter keeps of its replay: outcome, the event's key, why it was refused again, the corrected event."""
    result: dict[str, object] = {"outcome": outcome.verdict, "idempotency_key": replay.key}
    if outcome.refusal is not None:
        refusal = outcome.refusal
        result |= {"code": refusal.code, "detail": refusal.detail, "facts": dict(refusal.facts)}
    if replay.payload is not None:
        result["payload"] = replay.payload.decode()
    return result
