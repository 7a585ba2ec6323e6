"""Intake: one raw event to a verdict. Pure, and the same for production, replay and sandbox.

The writer calls it again for the same submission and comes to the same event: everything a verdict leans on
is in the submission, except for the directory, which may know more by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aforo.kernel.errors import Refusal
from aforo.kernel.texts import storable

from ..decoding import decode
from ..event import Accepted, Refused, Submission, UsageEvent
from ..ports import Directory
from ..raw_events import RawEvents, Unreadable, located
from . import enrichment, identity, schema, timestamp
from .draft import Draft, Receipt, receipt_of

Step = Callable[[Draft, Receipt], Refusal | None]
# The order in which an event is checked, and nowhere else. Each step fills in its part of the draft or refuses.
STEPS: tuple[Step, ...] = (
    schema.check,  # what: names, defaults, types, limits
    timestamp.check,  # when: zone, clock skew, age
    identity.check,  # which one: key and fingerprint
    enrichment.check,  # whose and what for: customer and meters
)


def accept_all(submission: Submission, directory: Directory) -> list[Accepted | Refused]:
    """The verdict on every event of a submission, in their order.

    Raises Problem where there are no events to judge: the body is unreadable, empty or too large, or the
    header X-Tenant-Id disagrees with the key.
    """
    return accept_each(decode(submission), submission, directory)


def accept_each(raws: RawEvents, submission: Submission, directory: Directory) -> list[Accepted | Refused]:
    """The verdict on every raw event of a submission, once its body is decoded.

    Raises Problem("tenant_mismatch") where the header X-Tenant-Id disagrees with the key.
    """
    receipt = receipt_of(submission, directory, raws)
    drafts = [Draft(raw, index) for index, raw in enumerate(raws)]
    refusals = [_refusal(draft, receipt, STEPS[:-1]) for draft in drafts]
    # 10,000 unknown customers are one look-up, not 10,000.
    pairs = list(zip(drafts, refusals, strict=True))
    directory.customers_expect({draft.customer_id for draft, refusal in pairs if refusal is None})
    return [
        _verdict(draft, receipt, refusal or _refusal(draft, receipt, STEPS[-1:])) for draft, refusal in pairs
    ]


def accept(
    raw: Any, index: int, submission: Submission, directory: Directory, *, is_single: bool = False
) -> Accepted | Refused:
    """The verdict on one raw event of a submission; many: `accept_all`.

    index: its place in the body. is_single: the body was this event and no batch.
    Raises Problem("tenant_mismatch") where the header X-Tenant-Id disagrees with the key.
    """
    raws = RawEvents([raw])
    raws.is_single, raws.has_escapes = is_single, True
    receipt, draft = receipt_of(submission, directory, raws), Draft(raw, index)
    return _verdict(draft, receipt, _refusal(draft, receipt, STEPS))


def _refusal(draft: Draft, receipt: Receipt, steps: Sequence[Step]) -> Refusal | None:
    """Take a draft through some of the steps, until one refuses it."""
    for step in steps:
        refusal = step(draft, receipt)
        if refusal is not None:
            return refusal
    return None


def _verdict(draft: Draft, receipt: Receipt, refusal: Refusal | None) -> Accepted | Refused:
    if refusal is not None:
        raw = draft.raw
        payload = raw.text if type(raw) is Unreadable else raw
        if receipt.has_escapes:
            payload = storable(payload)
        return Refused(
            located(refusal, receipt.lines, draft.index),
            draft.key or None,
            payload,
            draft.index,
            is_held=refusal.code in enrichment.UNKNOWN and receipt.directory.holds(refusal.code),
        )
    return Accepted(
        UsageEvent(
            idempotency_key=draft.key,
            tenant_id=receipt.submission.tenant_id,
            customer_id=draft.customer_id,
            metric=draft.metric,
            quantity=draft.quantity,
            timestamp=draft.timestamp,
            source=draft.source,
            properties=draft.properties,
            is_timestamp_given=draft.time is not None,
            fingerprint=draft.fingerprint,
            identity=draft.identity,
        ),
        draft.is_late,
    )
