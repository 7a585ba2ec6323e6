"""What became of a key, step by step, for whoever has to prove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant

from ..aggregation import IS_BUCKETABLE
from ..meters import dimensions_of, feeds
from ..models import Correction, DeadLetter, DeadLetterStatus
from .directory import directory_for
from .events import StoredEvent

# Which step gave a refusal; every other code is the first step's.
_REFUSED_AT = {
    "idempotency_conflict": "deduplicate",
    "metric_unknown": "enrich",
    "customer_unknown": "enrich",
    "quantity_negative": "enrich",
    "storage_refused": "aggregate",
}


class Step(NamedTuple):
    """One of validate, deduplicate, enrich, route, aggregate, correct: its outcome in a word, and a sentence."""

    step: str
    outcome: str
    detail: str


def refusals_for(tenant: Tenant, key: str) -> Sequence[DeadLetter]:
    """Dead letters under an idempotency key, the latest first; at most 20."""
    letters = DeadLetter.objects.of(tenant).filter(idempotency_key=key).defer("payload")
    return letters.order_by("-received_at")[:20]


def steps_of_refusal(letter: DeadLetter) -> list[Step]:
    """The steps a refused or held event took, the last of which refused it."""
    names = ("validate", "deduplicate", "enrich", "route", "aggregate")
    last = names.index(_REFUSED_AT.get(letter.code, "validate"))
    passed = [Step(name, "passed", "") for name in names[:last]]
    outcome = "held" if letter.status == DeadLetterStatus.HELD else "refused"
    return [*passed, Step(names[last], outcome, f"{letter.code}: {letter.detail}")]


def steps_of(tenant: Tenant, stored: StoredEvent, corrections: Sequence[Correction] = ()) -> list[Step]:
    """The steps a stored event took. Meters are those that listen to it today.

    stored: as it counts today, or as it was accepted where it was voided. corrections: the latest first.
    """
    event = stored.usage_event(tenant.pk)
    fed = [meter for meter in directory_for(tenant.pk).meters_for(stored.metric) if feeds(meter, event)]
    bought = f"{stored.product}, plan version {stored.plan_version_id}, subscription {stored.subscription_id}"
    hour = instant_text(stored.timestamp.replace(minute=0, second=0, microsecond=0))
    counted = []
    for meter in fed:
        by = ", ".join(f"{name} {text or 'not given'}" for name, text in dimensions_of(meter, event))
        where = f"the hour {hour}" if meter.aggregation in IS_BUCKETABLE else "its period, from the events"
        counted.append(f"{meter.key} ({meter.aggregation}) in {where}" + (f", by {by}" if by else ""))
    return [
        Step(
            "validate",
            "late" if stored.is_late else "passed",
            f"Received at {instant_text(stored.received_at)}; it happened at {instant_text(stored.timestamp)}.",
        ),
        Step("deduplicate", "first", "The first event under its key; it stands for ever."),
        Step(
            "enrich",
            "found" if stored.subscription_id else "no subscription",
            f"{stored.customer_id}: {bought}."
            if stored.subscription_id
            else f"{stored.customer_id} had bought nothing it belongs to.",
        ),
        Step(
            "route",
            "routed" if fed else "filtered out",
            ", ".join(meter.key for meter in fed) or f"No meter of {stored.metric} takes it by its filters.",
        ),
        *_counted(counted, corrections),
    ]


def _counted(counted: Sequence[str], corrections: Sequence[Correction]) -> list[Step]:
    """Where the event counts, and what has become of that since."""
    if not corrections:
        return [Step("aggregate", "counted" if counted else "not counted", "; ".join(counted))]
    last = corrections[0]
    said = f"{last.get_kind_display()} at {instant_text(last.created_at)} by {last.actor}: {last.reason}"
    more = f" Correction {len(corrections)} of this event." if len(corrections) > 1 else ""
    return [
        Step(
            "aggregate",
            "counted" if counted and not last.is_void else "not counted",
            "" if last.is_void else "; ".join(counted),
        ),
        Step("correct", "voided" if last.is_void else "amended", said + more),
    ]
