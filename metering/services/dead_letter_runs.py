"""Dead letter runs: many letters replayed, mapped to another name, or discarded; looked at before, resumed after a death.

A run goes through its letters in the order in which they were filed, some in a transaction together with its own
position. So what was done is done once, whoever is killed, and what was refused again is not tried twice.
Tasks are queued by name: they call this module, not the other way.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid

from ..event import Accepted, UsageEvent
from ..intake.identity import Identity, judge
from ..models import DeadLetter, DeadLetterRun, DeadLetterRunAction, DeadLetterRunStatus, DeadLetterStatus
from ..ports import Directory, TouchedPeriod, invoice_impact
from ..selectors.dead_letter_runs import dead_letter_run_for, dead_letter_runs_for, letters_of
from ..selectors.directory import directory_for
from ..selectors.events import identities_for
from .dead_letters import Replay, letters_discard, replays_of, replays_store

LETTERS_A_STEP = 200
# Some seconds' work, so that a task never outlives the broker's patience.
STEPS_A_TASK = 20
# Of which nothing has moved for so long: its worker is gone.
STALLED_AFTER = timedelta(seconds=30)
# A look of a few seconds; of more letters the oldest are looked at.
PREVIEWED_MAX = 5_000
HELD_ACTOR = "held until known"

_logger = logging.getLogger(__name__)


@transaction.atomic
def dead_letter_run_plan(
    *,
    tenant: Tenant,
    action: str,
    actor: str,
    metric_to: str = "",
    customer_to: str = "",
    reason: str = "",
    **filters: Any,
) -> DeadLetterRun:
    """Make a run of the letters that are there and fit; nothing happens before it is started.

    filters: as dead_letters_for takes them. metric_to, customer_to: see DeadLetterRun; each stands for the one name
    that the filter of its kind, metric or customer_id, asks for.
    Raises Problem input_invalid, also where nothing listens to metric_to or there is no customer customer_to.
    """
    run = DeadLetterRun(tenant=tenant, action=action, actor=actor, reason=reason, filters=_texts(filters))
    _name(run, metric_to, customer_to)
    letters = letters_of(run)
    run.total = letters.count()
    run.last_id = letters.order_by("-pk").values_list("pk", flat=True).first()
    run.save()
    return run


@transaction.atomic
def dead_letter_run_map(
    *, tenant: Tenant, run_id: UUID, metric_to: str = "", customer_to: str = ""
) -> DeadLetterRun:
    """Say which names the events of a planned run get. Locks the run.

    Raises Problem not_found, state_conflict once it is started, and what dead_letter_run_plan raises for names.
    """
    run = _locked(tenant, run_id, DeadLetterRunStatus.PLANNED)
    _name(run, metric_to, customer_to)
    run.save(update_fields=["metric_to", "customer_to"])
    return run


@transaction.atomic
def dead_letter_run_start(
    *, tenant: Tenant, run_id: UUID, reason: str = "", is_queued: bool = True
) -> DeadLetterRun:
    """Let the workers go through a planned run; is_queued: False where the caller does it himself. Locks the run.

    reason: of a discard that was planned without one.
    Raises Problem not_found, state_conflict where it was started already, input_invalid for a discard without a reason.
    """
    run = _locked(tenant, run_id, DeadLetterRunStatus.PLANNED)
    run.reason = reason or run.reason
    if run.action == DeadLetterRunAction.DISCARD and not run.reason.strip():
        raise invalid("reason", "says why they are discarded.")
    run.status, run.moved_at = DeadLetterRunStatus.RUNNING, now()
    run.save(update_fields=["status", "reason", "moved_at"])
    if is_queued:
        transaction.on_commit(lambda: dead_letter_run_queue(tenant=tenant, run_id=run_id))
    return run


@transaction.atomic
def dead_letter_run_cancel(*, tenant: Tenant, run_id: UUID) -> DeadLetterRun:
    """Leave the letters that were not looked at as they are. Locks the run; waits for the step that is under way.

    Raises Problem not_found, or state_conflict where it is over.
    """
    run = _locked(tenant, run_id, DeadLetterRunStatus.PLANNED, DeadLetterRunStatus.RUNNING)
    _finish(run, DeadLetterRunStatus.CANCELLED)
    run.save()
    return run


def dead_letter_run_queue(*, tenant: Tenant, run_id: UUID) -> None:
    """Ask the workers to go on; asking twice does no harm."""
    try:
        current_app.send_task("metering.dead_letter_run", args=[tenant.pk, str(run_id)])
    except BrokerError as error:
        # The row is committed; beat takes it up when the broker answers again.
        _logger.warning("The dead letter run %s could not be queued: %s", run_id, error)


def dead_letter_run_work(*, tenant: Tenant, run_id: UUID, steps_max: int = STEPS_A_TASK) -> bool:
    """Go some steps, of 200 letters each; returns whether there is nothing left to do here.

    Two workers at one run do no harm: each step is done under the lock of the run's row.
    """
    return any(_step(tenant, run_id) for _ in range(steps_max))


def dead_letter_runs_resume() -> int:
    """Take up every run of every tenant of which nothing has moved for a while; returns how many."""
    stalled = DeadLetterRun.objects.filter(
        status=DeadLetterRunStatus.RUNNING, moved_at__lt=now() - STALLED_AFTER
    ).select_related("tenant")
    for run in stalled:
        dead_letter_run_queue(tenant=run.tenant, run_id=run.pk)
    return len(stalled)


def held_letters_replay(*, tenant: Tenant) -> list[DeadLetterRun]:
    """Start a run for each name that events are held for and that is known by now; those under way go on."""
    waiting = (
        DeadLetter.objects.of(tenant)
        .filter(status=DeadLetterStatus.HELD)
        .order_by("code", "metric", "customer")
        .values_list("code", "metric", "customer")
        .distinct()
    )
    directory = directory_for(tenant.pk)
    names = {_held_name(*one) for one in waiting}
    directory.customers_expect({name for code, field, name in names if field == "customer_id"})
    under_way = [
        run.filters for run in dead_letter_runs_for(tenant, status=DeadLetterRunStatus.RUNNING.value)
    ]
    runs = []
    for code, field, name in sorted(names):
        filters = {"status": DeadLetterStatus.HELD.value, "code": code, field: name}
        if not _is_known(directory, field, name) or filters in under_way:
            continue
        run = dead_letter_run_plan(
            tenant=tenant, action=DeadLetterRunAction.REPLAY, actor=HELD_ACTOR, **filters
        )
        runs.append(dead_letter_run_start(tenant=tenant, run_id=run.pk))
    return runs


def _held_name(code: str, metric: str, customer: str) -> tuple[str, str, str]:
    return (code, "metric", metric) if code == "metric_unknown" else (code, "customer_id", customer)


def _is_known(directory: Directory, field: str, name: str) -> bool:
    if field == "metric":
        return bool(directory.meters_for(name))
    return directory.customer(name) is not None


@dataclass(frozen=True, slots=True)
class TouchedInvoice:
    """A period that replayed events would count in. invoice: its number where it is issued; None while it is open."""

    customer_id: str
    subscription: str
    period: Period
    invoice: str | None
    events: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do, if it were started now.

    count: letters that it has left. looked_at: the oldest of them, at most 5,000, which the rest is about.
    refused: how many would be refused again, by reason. left: no single whole events, which stay as they are.
    """

    count: int
    looked_at: int
    accepted: int
    duplicates: int
    refused: Mapping[str, int]
    left: int
    touched: tuple[TouchedInvoice, ...]

    @property
    def is_part(self) -> bool:
        return self.looked_at < self.count


def dead_letter_run_preview(run: DeadLetterRun) -> Preview:
    """The validator's and the identity check's verdicts on a run's letters, and what they would touch; stores nothing.

    run: planned, or unsaved with its filters.
    """
    letters = letters_of(run)
    looked_at = list(letters[:PREVIEWED_MAX])
    directory = directory_for(run.tenant_id)
    replays = replays_of(looked_at, directory, run.names) if run.action == DeadLetterRunAction.REPLAY else []
    ends: Counter[str] = Counter()
    fresh: list[UsageEvent] = []
    for replay, end in _ends(run.tenant, replays):
        ends[end] += 1
        if end == "accepted":
            fresh.append(replay.verdict.event)
    return Preview(
        count=letters.count() if len(looked_at) == PREVIEWED_MAX else len(looked_at),
        looked_at=len(looked_at),
        accepted=ends.pop("accepted", 0),
        duplicates=ends.pop("duplicate", 0),
        refused=dict(ends.most_common()),
        left=len(looked_at) - len(replays) if run.action == DeadLetterRunAction.REPLAY else 0,
        touched=_touched(run.tenant, fresh, directory),
    )


def _ends(tenant: Tenant, replays: Sequence[Replay]) -> Iterator[tuple[Replay, str]]:
    """Where each would end: accepted, duplicate, or the code of its refusal."""
    events = [replay.verdict.event for replay in replays if isinstance(replay.verdict, Accepted)]
    known = identities_for(tenant, [event.identity for event in events])
    for replay in replays:
        if not isinstance(replay.verdict, Accepted):
            yield replay, replay.verdict.code
            continue
        event, intake_id = replay.verdict.event, replay.submission.intake_id
        judgement = judge(known.get(event.identity), event, intake_id)
        if judgement == "new":
            known[event.identity] = Identity(event.fingerprint, event.client_time, intake_id)
            yield replay, "accepted"
        else:
            yield replay, "idempotency_conflict" if judgement == "conflict" else "duplicate"


def _touched(
    tenant: Tenant, events: Sequence[UsageEvent], directory: Directory
) -> tuple[TouchedInvoice, ...]:
    instants: dict[str, dict[int, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    names: dict[int, str] = {}
    for event in events:
        customer = directory.customer(event.customer_id)
        names[customer.id] = customer.external_id
        instants[event.metric][customer.id].append(event.timestamp)
    counts: Counter[TouchedPeriod] = Counter()
    for metric, by_customer in instants.items():
        touched = invoice_impact().periods_of(tenant_id=tenant.pk, metric=metric, instants=by_customer)
        for one in touched:
            counts[one] += sum(one.period.start <= at < one.period.end for at in by_customer[one.customer_id])
    return tuple(
        TouchedInvoice(names[one.customer_id], one.subscription, one.period, one.invoice, count)
        for one, count in sorted(counts.items())
    )


@transaction.atomic
def _step(tenant: Tenant, run_id: UUID) -> bool:
    """Go through the next letters; returns whether the run is over, or another worker is at it. Locks run and letters."""
    rows = dead_letter_runs_for(tenant).filter(pk=run_id, status=DeadLetterRunStatus.RUNNING)
    run = rows.select_for_update(skip_locked=True, of=("self",)).select_related("tenant").first()
    if run is None:
        return True
    letters = list(letters_of(run)[:LETTERS_A_STEP].select_for_update(of=("self",)))
    ends: Counter[str] = Counter(run.outcomes)
    if run.action == DeadLetterRunAction.DISCARD:
        pks = [letter.pk for letter in letters]
        letters_discard(DeadLetter.objects.filter(pk__in=pks), reason=run.reason, actor=run.actor)
        ends["discarded"] += len(letters)
    else:
        replays = replays_of(letters, directory_for(tenant.pk), run.names)
        replays_store(replays, run.actor)
        ends.update(str(replay.letter.result["outcome"]) for replay in replays)
        ends["left"] += len(letters) - len(replays)
    run.outcomes = +ends
    run.done += len(letters)
    run.moved_at = now()
    if letters:
        run.position = letters[-1].pk
    if len(letters) < LETTERS_A_STEP:
        _finish(run, DeadLetterRunStatus.COMPLETED)
    run.save()
    return run.finished_at is not None


def _locked(tenant: Tenant, run_id: UUID, *allowed: DeadLetterRunStatus) -> DeadLetterRun:
    dead_letter_run_for(tenant, run_id)
    rows = dead_letter_runs_for(tenant).select_related("tenant").select_for_update(of=("self",))
    run = rows.get(pk=run_id)
    if run.status not in allowed:
        raise Problem("state_conflict", f"The run is {run.status}.")
    return run


def _finish(run: DeadLetterRun, status: DeadLetterRunStatus) -> None:
    run.status, run.finished_at = status, now()


def _name(run: DeadLetterRun, metric_to: str, customer_to: str) -> None:
    """Set the names, once it is sure that they are known and that each stands for one name alone."""
    directory = directory_for(run.tenant_id)
    if metric_to and not directory.meters_for(metric_to):
        raise invalid("metric_to", f"is unknown: no meter listens to {metric_to!r}.")
    if customer_to and directory.customer(customer_to) is None:
        raise invalid("customer_to", f"is unknown: there is no customer {customer_to!r}.")
    for to, column, field in ((metric_to, "metric", "metric_to"), (customer_to, "customer", "customer_to")):
        if to and run.action != DeadLetterRunAction.REPLAY:
            raise invalid(field, "is for a replay.")
        names = list(letters_of(run).order_by().values_list(column, flat=True).distinct()[:2]) if to else []
        if len(names) > 1:
            raise invalid(
                field, f"stands for one name; the letters name {names[0]!r}, {names[1]!r} and perhaps more."
            )
    run.metric_to, run.customer_to = metric_to, customer_to


def _texts(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters as JSON keeps them; those that are None left out."""
    return {
        name: instant_text(value)
        if isinstance(value, datetime)
        else [str(one) for one in value]
        if name == "ids"
        else value
        for name, value in filters.items()
        if value is not None
    }
