"""Corrections: an accepted event is amended or voided by a row that points at it, and its hours are aggregated again.

The event's own row and its identity stay as they are: a client's retry of it is still a duplicate, and every earlier state
can be read. What counts is the last correction's replacement, or nothing once the event is voided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection, transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_bits_63
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant

from ..contexts import ContextKey, context_ids
from ..corrections import AMENDABLE, content_text, replacement_identity
from ..event import Accepted, Submission, UsageEvent
from ..intake import accept
from ..locks import correction_locked
from ..models import Correction, CorrectionKind, UsageContext
from ..partitions import months_ensure
from ..ports import CountedUsage, TouchedPeriod, customer_directory, invoice_impact, usage_sink
from ..selectors.corrections import corrections_for
from ..selectors.directory import directory_for
from ..selectors.events import StoredEvent, event_for, replacement_for
from .reaggregation import UsageHour, hours_reaggregate

_json = msgspec.json.Encoder(decimal_format="number")


class Corrected(NamedTuple):
    """is_new: False where the same correction had been made before, and nothing was changed."""

    correction: Correction
    is_new: bool


@transaction.atomic
def event_amend(
    *, tenant: Tenant, key: str, changes: Mapping[str, Any], reason: str, actor: str
) -> Corrected:
    """Let an accepted event say something else from now on. key: the event's. actor: who amends.

    changes: some of AMENDABLE with their new values, as a sender would write them; the rest stays as it counts now.
    Judged by intake like any event: at the original time of receipt, except that what lies after it is judged now.
    Locks the tenant's events against new ones until the transaction ends.
    Raises Problem not_found, state_conflict for a voided event, input_invalid where nothing would change, events_archived
    where its month or the one it goes to is archived, or what intake refuses the new content for.
    """
    correction_locked(tenant.pk)
    standing = _Standing.of(tenant, key)
    if standing.counting is None:
        raise Problem(
            "state_conflict",
            f"The event {key!r} was voided at {instant_text(standing.corrections[-1].created_at)} and counts no longer; "
            "send it anew under another key.",
        )
    before = standing.counting.usage_event(tenant.pk)
    verdict = _judged(tenant, before, standing.counting.received_at, changes)
    after = content_text(verdict.event)
    if after == content_text(before):
        if standing.corrections:
            return Corrected(standing.corrections[-1], False)
        sentence = "The event says this already; give what should be different."
        raise Problem("input_invalid", sentence, errors={next(iter(changes), "quantity"): [sentence]})
    replacement = _replaced(
        tenant, verdict, number=len(standing.corrections) + 1, received_at=standing.counting.received_at
    )
    correction = _appended(
        tenant,
        standing.counting,
        kind=CorrectionKind.AMEND,
        after=after,
        reason=reason,
        actor=actor,
        **replacement,
    )
    return Corrected(correction, True)


@transaction.atomic
def event_void(*, tenant: Tenant, key: str, reason: str, actor: str) -> Corrected:
    """Let an accepted event count no longer, whether it was amended or not; voiding twice keeps the first reason.

    Locks the tenant's events against new ones until the transaction ends. Raises Problem not_found, events_archived.
    """
    correction_locked(tenant.pk)
    standing = _Standing.of(tenant, key)
    if standing.counting is None:
        return Corrected(standing.corrections[-1], False)
    correction = _appended(tenant, standing.counting, kind=CorrectionKind.VOID, reason=reason, actor=actor)
    return Corrected(correction, True)


def correction_periods(correction: Correction) -> tuple[TouchedPeriod, ...]:
    """The billing periods whose usage the correction changed, of its customers before and after."""
    touched: set[TouchedPeriod] = set()
    for context, at in _places(correction):
        touched |= set(
            invoice_impact().periods_of(
                tenant_id=correction.tenant_id, metric=context.metric, instants={context.customer_id: [at]}
            )
        )
    return tuple(sorted(touched, key=lambda one: (one.period, one.subscription)))


@dataclass(frozen=True, slots=True)
class _Standing:
    """An event with its corrections, the first one first; counting: None once it was voided."""

    corrections: tuple[Correction, ...]
    counting: StoredEvent | None

    @classmethod
    def of(cls, tenant: Tenant, key: str) -> _Standing:
        """Raises Problem not_found."""
        corrections = tuple(corrections_for(tenant, idempotency_key=key).order_by("sequence"))
        if corrections and corrections[-1].is_void:
            return cls(corrections, None)
        counting = replacement_for(corrections[-1]) if corrections else event_for(tenant, key)
        if counting is None:
            raise Problem(
                "not_found",
                f"No event {key!r} is stored. What was refused is corrected as a dead letter; what was accepted a moment "
                "ago, once it is stored.",
            )
        return cls(corrections, counting)


def _appended(tenant: Tenant, counting: StoredEvent, **fields: Any) -> Correction:
    """The next correction, of what counts until now; its hours are aggregated again."""
    last = Correction.objects.of(tenant).order_by("-sequence").first()
    correction = Correction.objects.create(
        tenant=tenant,
        sequence=last.sequence + 1 if last else 1,
        idempotency_key=counting.idempotency_key,
        superseded=counting.identity,
        superseded_at=counting.timestamp,
        superseded_context_id=counting.context_id,
        before=content_text(counting.usage_event(tenant.pk)),
        created_at=now(),
        **fields,
    )
    hours = _hours(correction)
    hours_reaggregate(tenant=tenant, hours=hours)
    usage_sink().usage_counted(
        {tenant.pk}, [CountedUsage(tenant.pk, hour.customer_id, hour.metric) for hour in hours]
    )
    return correction


def _judged(
    tenant: Tenant, before: UsageEvent, received_at: datetime, changes: Mapping[str, Any]
) -> Accepted:
    """Intake's verdict on the event with the changes. Raises Problem with its refusal."""
    kept = {name: getattr(before, name) for name in AMENDABLE} | {"timestamp": instant_text(before.timestamp)}
    raw = {
        **kept,
        **changes,
        "idempotency_key": before.idempotency_key,
        "source": before.source,
    }
    submission = Submission(
        tenant_id=tenant.pk,
        tenant_slug=tenant.slug,
        api_key_id=None,
        received_at=received_at,
        intake_id=random_bits_63(),
        body=b"",
    )
    directory = directory_for(tenant.pk)
    verdict = accept(raw, 0, submission, directory, is_single=True)
    if not isinstance(verdict, Accepted) and verdict.refusal.code == "timestamp_in_future":
        submission = msgspec.structs.replace(submission, judged_at=now())
        verdict = accept(raw, 0, submission, directory, is_single=True)
    if not isinstance(verdict, Accepted):
        raise Problem.of(verdict.refusal)
    return verdict


_INSERT = """
INSERT INTO metering_event
    (occurred_at, received_at, identity, tenant_id, context_id, is_late, quantity, key, properties)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)
"""


def _replaced(tenant: Tenant, verdict: Accepted, *, number: int, received_at: datetime) -> dict[str, Any]:
    """Store the row that counts from now on; returns where it is, as the correction names it."""
    event = verdict.event
    customer = directory_for(tenant.pk).customer(event.customer_id)
    bought = customer_directory().bought_by(tenant_id=tenant.pk, customer_ids=[customer.id])
    context = bought.context_at(customer.id, event.metric, event.timestamp)
    (context_id,) = context_ids([ContextKey(tenant.pk, customer.id, event.metric, event.source, context)])
    identity = UUID(bytes=replacement_identity(event.idempotency_key, number))
    months_ensure([event.timestamp])
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                event.timestamp,
                received_at,
                identity,
                tenant.pk,
                context_id,
                verdict.is_late,
                event.quantity,
                event.idempotency_key,
                _json.encode(event.properties).decode(),
            ],
        )
    return {
        "replacement": identity,
        "replacement_at": event.timestamp,
        "replacement_context_id": context_id,
    }


def _places(correction: Correction) -> list[tuple[UsageContext, datetime]]:
    """Where the event counted until the correction, and where it counts since."""
    places = [(correction.superseded_context, correction.superseded_at)]
    if correction.replacement_context is not None and correction.replacement_at is not None:
        places.append((correction.replacement_context, correction.replacement_at))
    return places


def _hours(correction: Correction) -> list[UsageHour]:
    return [
        UsageHour(context.customer_id, context.metric, at.replace(minute=0, second=0, microsecond=0))
        for context, at in _places(correction)
    ]
