"""Events come in: read, judged for the answer, and kept in the durable log before anybody is told so.

The answer is for the sender. The writer decides when it makes rows, files the dead letters and counts, so that whatever
is counted is counted in one place; therefore refused events go into the log too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import msgspec

from aforo.http.bodies import Body
from aforo.kernel.clock import now
from aforo.kernel.errors import Problem, Refusal
from aforo.kernel.identifiers import random_bits_63
from aforo.tenancy.models import Tenant

from ..compression import decompress, too_large
from ..decoding import BODY_BYTES_MAX, decode
from ..event import REFUSED_BODY_BYTES_MAX, Accepted, Door, Refused, RefusedBody, Submission
from ..intake import accept_each
from ..intake.draft import GATEWAY_SOURCES
from ..intake.identity import Identity, conflict, is_generated, judge
from ..log import Durability, append
from ..packing import accepted_pack
from ..selectors.directory import OUTAGE, directory_for
from ..selectors.events import identities_for

logger = logging.getLogger(__name__)

Status = Literal["accepted", "duplicate", "rejected", "held"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request says beside its body; see Submission for each.

    content_encoding: the header's text, None where not sent. ce_headers: headers whose name starts with ce-.
    """

    door: Door = "events"
    is_strict: bool = False
    content_type: str | None = None
    content_encoding: str | None = None
    source: str | None = None
    idempotency_key: str | None = None
    tenant_header: str | None = None
    ce_headers: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] | None = None
    reservation: str | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The answer to one event.

    refusal: why it was rejected, or what it is held for.
    is_told: in an answer that leaves out what is plainly accepted, this is not.
    """

    index: int
    idempotency_key: str | None
    status: Status
    is_late: bool = False
    is_told: bool = True
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class IngestAnswer:
    """What a request's events were found to be, and where they lie. is_single: one event and no batch."""

    verdicts: tuple[Verdict, ...]
    durability: Durability
    is_single: bool

    def counts(self) -> Counter[Status]:
        return Counter(verdict.status for verdict in self.verdicts)


def events_ingest(*, tenant: Tenant, api_key_id: UUID | None, body: Body, envelope: Envelope) -> IngestAnswer:
    """Keep a request's events in the log and say what each of them is.

    body: as received, compressed where the envelope says so.
    Raises Problem for a body that cannot be read (which is kept too, as one dead letter to come) and
    storage_unavailable where nothing durable can be reached.
    """
    received = Submission(
        tenant_id=tenant.pk,
        tenant_slug=tenant.slug,
        api_key_id=None if api_key_id is None else str(api_key_id),
        received_at=now(),
        intake_id=random_bits_63(),
        body=body.content,
        source=envelope.source,
        idempotency_header=envelope.idempotency_key,
        is_strict=envelope.is_strict or envelope.source in GATEWAY_SOURCES,
        door=envelope.door,
        content_type=envelope.content_type,
        attributes=tuple(sorted(envelope.ce_headers.items())),
        tenant_header=envelope.tenant_header,
        mapping=envelope.mapping,
        reservation=envelope.reservation,
    )
    try:
        if not body.is_whole:
            raise too_large(BODY_BYTES_MAX)
        plain = decompress(body.content, envelope.content_encoding, BODY_BYTES_MAX)
    except Problem as problem:
        append(_refused(received, body, problem))
        raise
    return submission_ingest(tenant=tenant, submission=msgspec.structs.replace(received, body=plain))


def submission_ingest(*, tenant: Tenant, submission: Submission) -> IngestAnswer:
    """The same for a submission whose body is not compressed; handed in again, it is told and counted as before.

    Raises what `events_ingest` raises.
    """
    try:
        raws = decode(submission)
        judged = accept_each(raws, submission, directory_for(tenant.pk))
    except Problem as problem:
        append(submission.refused(problem))
        raise
    submission = msgspec.structs.replace(submission, accepted=accepted_pack(judged))
    known: dict[bytes, Identity] | None = None

    def look_up() -> None:
        nonlocal known
        known = _known(tenant, submission, judged)

    # The store is asked while the log's disk works, so that the hint costs no time; where the log is away, afterwards.
    durability = append(submission, meanwhile=look_up)
    if known is None:
        look_up()
    return IngestAnswer(_verdicts(submission, judged, known or {}), durability, raws.is_single)


def _refused(received: Submission, body: Body, problem: Problem) -> Submission:
    """The submission of a body that was not even decompressed: its first 64 KiB, and what all of it was."""
    return msgspec.structs.replace(
        received,
        body=body.content[:REFUSED_BODY_BYTES_MAX],
        refused_body=RefusedBody(problem.code, problem.detail, problem.facts, body.length, body.sha256),
    )


def _verdicts(
    submission: Submission, judged: Sequence[Accepted | Refused], known: Mapping[bytes, Identity]
) -> tuple[Verdict, ...]:
    """Each event's verdict, in order; what the store or the same request had before is a duplicate or a conflict."""
    firsts: dict[bytes, int] = {}
    verdicts = []
    for index, one in enumerate(judged):
        if isinstance(one, Refused):
            status: Status = "held" if one.is_held else "rejected"
            verdicts.append(Verdict(index, one.idempotency_key, status, refusal=one.refusal))
            continue
        event = one.event
        intake_id = submission.intake_id_of(index)
        existing = known.get(event.identity)
        first = firsts.setdefault(event.identity, index)
        if existing is None and first != index:
            existing = _identity_of(submission, judged, first)
        judgement = "new" if existing is None else judge(existing, event, intake_id)
        # A copy is this very event: handed in before, or written by a writer that is quicker than the answer.
        if judgement in ("new", "copy"):
            is_told = one.is_late or is_generated(event.idempotency_key, intake_id)
            verdicts.append(Verdict(index, event.idempotency_key, "accepted", one.is_late, is_told))
        elif judgement == "conflict":
            verdicts.append(Verdict(index, event.idempotency_key, "rejected", refusal=conflict(event)))
        else:
            verdicts.append(Verdict(index, event.idempotency_key, "duplicate"))
    return tuple(verdicts)


def _identity_of(submission: Submission, judged: Sequence[Accepted | Refused], index: int) -> Identity:
    event = judged[index].event
    return Identity(event.fingerprint, event.client_time, submission.intake_id_of(index))


def _known(
    tenant: Tenant, submission: Submission, judged: Sequence[Accepted | Refused]
) -> dict[bytes, Identity]:
    """What the store has under the keys of accepted events; generated keys are new by themselves."""
    identities = [
        one.event.identity
        for index, one in enumerate(judged)
        if isinstance(one, Accepted)
        and not is_generated(one.event.idempotency_key, submission.intake_id_of(index))
    ]
    try:
        return identities_for(tenant, identities)
    except OUTAGE as error:
        # A duplicate is then answered as accepted, and the writer finds out; the events are safe in the log.
        logger.warning("The store could not be asked for duplicates: %s", error)
        return {}
