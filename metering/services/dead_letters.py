"""Dead letters: sent again through the same intake, or discarded with a reason. Many at once: dead_letter_runs.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem, Refusal
from aforo.tenancy.models import Tenant

from ..batch import Outcome, store
from ..dead_letters import CLOUD_EVENT, JSON, letters_change, renamed, replay_of
from ..event import Accepted, Submission
from ..intake import accept_all
from ..intake.enrichment import UNKNOWN
from ..models import OPEN, DeadLetter, DeadLetterStatus
from ..ports import Directory
from ..selectors.dead_letters import dead_letter_for
from ..selectors.directory import directory_for


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
    letter = _locked(tenant, letter_id)
    if letter.status == DeadLetterStatus.DISCARDED:
        raise Problem("state_conflict", "The dead letter was discarded.")
    if letter.status in OPEN:
        replays_store([Replay.of(letter, directory_for(tenant.pk), payload=payload)], actor)
    return letter


@transaction.atomic
def dead_letter_discard(*, tenant: Tenant, letter_id: UUID, reason: str, actor: str) -> DeadLetter:
    """Give a refused event up; it stays where it is, and counted. Discarding twice keeps the first reason.

    Locks the letter. Raises Problem not_found, or state_conflict for a letter that was replayed.
    """
    letter = _locked(tenant, letter_id)
    if letter.status in OPEN:
        letters_discard(DeadLetter.objects.filter(pk=letter.pk), reason=reason, actor=actor)
        letter.refresh_from_db()
    elif letter.status != DeadLetterStatus.DISCARDED:
        raise Problem("state_conflict", f"The dead letter is {letter.status} and cannot be discarded.")
    return letter


def letters_discard(letters: QuerySet[DeadLetter], *, reason: str, actor: str) -> None:
    """Give up letters that the caller has locked."""
    letters.update(status=DeadLetterStatus.DISCARDED, reason=reason, actor=actor, changed_at=now())


def _locked(tenant: Tenant, letter_id: UUID) -> DeadLetter:
    dead_letter_for(tenant, letter_id)
    return (
        DeadLetter.objects.of(tenant)
        .select_related("tenant")
        .select_for_update(of=("self",))
        .get(pk=letter_id)
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """A letter about to be sent again.

    verdict: what intake says of its event today. payload: as corrected by a person, None for as received.
    names: that stand in place of the event's own, by field.
    """

    letter: DeadLetter
    submission: Submission
    verdict: Accepted | Refusal
    payload: bytes | None
    names: Mapping[str, str]

    @classmethod
    def of(
        cls,
        letter: DeadLetter,
        directory: Directory,
        *,
        payload: bytes | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Replay:
        """Raises Problem state_conflict or input_invalid where the letter is no single whole event."""
        if payload is None and len(letter.payload) < letter.payload_length:
            raise Problem(
                "state_conflict",
                f"Of {letter.payload_length:,} bytes the first {len(letter.payload):,} are kept; give the event as payload.",
            )
        submission = renamed(replay_of(letter, payload), names or {})
        if payload is not None:
            is_cloud_event = submission.content_type == CLOUD_EVENT
            submission = msgspec.structs.replace(
                submission, content_type=CLOUD_EVENT if is_cloud_event else JSON, attributes=()
            )
        if letter.code == "timestamp_in_future":
            submission = msgspec.structs.replace(submission, judged_at=now())
        return cls(letter, submission, _verdict(submission, directory), payload, names or {})

    @property
    def key(self) -> str | None:
        """Its event's; None where it will be refused."""
        return self.verdict.event.idempotency_key if isinstance(self.verdict, Accepted) else None


def _verdict(submission: Submission, directory: Directory) -> Accepted | Refusal:
    try:
        verdicts = accept_all(submission, directory)
    except Problem as problem:
        return Refusal(problem.code, problem.detail, problem.facts)
    if len(verdicts) > 1:
        raise Problem(
            "input_invalid",
            f"A dead letter is replayed as one event, not as {len(verdicts)}; send those anew and discard it.",
            errors={"payload": ["Give one event."]},
        )
    return verdicts[0] if isinstance(verdicts[0], Accepted) else verdicts[0].refusal


def replays_of(
    letters: Collection[DeadLetter], directory: Directory, names: Mapping[str, str]
) -> list[Replay]:
    """Those of the letters that wait for somebody and are single whole events, about to be sent again."""
    # 200 unknown customers are one look-up, not 200.
    directory.customers_expect({letter.customer for letter in letters if letter.customer})
    replays = []
    for letter in letters:
        try:
            if letter.status in OPEN:
                replays.append(Replay.of(letter, directory, names=names))
        except Problem:
            continue
    return replays


def replays_store(replays: Sequence[Replay], actor: str) -> None:
    """Send again what the caller has locked, in the caller's transaction; the letters say where each ended."""
    outcomes = store([replay.submission for replay in replays], is_replay=True)
    for replay, (outcome,) in zip(replays, outcomes, strict=True):
        letter = replay.letter
        letter.attempts += 1
        letter.result = _result(replay, outcome)
        letter.actor, letter.changed_at = actor, now()
        if outcome.refusal is None:
            letter.status = DeadLetterStatus.REPLAYED
        elif letter.status == DeadLetterStatus.HELD:
            refusal = outcome.refusal
            # What it waits for now; where that is nothing a name could help, it waits for a person.
            letter.code, letter.detail, letter.facts = refusal.code, refusal.detail, dict(refusal.facts)
            letter.status = DeadLetterStatus.HELD if refusal.code in UNKNOWN else DeadLetterStatus.NEW
    letters_change([replay.letter for replay in replays])


def _result(replay: Replay, outcome: Outcome) -> dict[str, object]:
    """What the letter keeps of its replay: outcome, the event's key, why it was refused again, what was corrected."""
    result: dict[str, object] = {"outcome": outcome.verdict, "idempotency_key": replay.key}
    if outcome.refusal is not None:
        refusal = outcome.refusal
        result |= {"code": refusal.code, "detail": refusal.detail, "facts": dict(refusal.facts)}
    if replay.payload is not None:
        result["payload"] = replay.payload.decode()
    if replay.names:
        result["names"] = dict(replay.names)
    return result
