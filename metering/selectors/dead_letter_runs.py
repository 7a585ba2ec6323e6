"""The doors to dead letter runs; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import OPEN, DeadLetter, DeadLetterRun
from .dead_letters import dead_letters_for


def dead_letter_runs_for(tenant: Tenant, *, status: str | None = None) -> QuerySet[DeadLetterRun]:
    """Runs, the latest first."""
    return DeadLetterRun.objects.of(tenant).filter(**given(status=status)).order_by("-pk")


def dead_letter_run_for(tenant: Tenant, run_id: UUID) -> DeadLetterRun:
    """Raises Problem not_found."""
    return found(DeadLetterRun.objects.of(tenant), pk=run_id)


def letters_of(run: DeadLetterRun) -> QuerySet[DeadLetter]:
    """The letters of a run that were not looked at yet, with payload and tenant, oldest first."""
    letters = _waiting(run)
    if run.position is not None:
        letters = letters.filter(pk__gt=run.position)
    return letters.defer(None).select_related("tenant").order_by("pk")


def letters_refused_in(run: DeadLetterRun) -> QuerySet[DeadLetter]:
    """Those that a run has looked at and that wait still, the latest first."""
    return _waiting(run).filter(pk__lte=run.position) if run.position else _waiting(run).none()


def _waiting(run: DeadLetterRun) -> QuerySet[DeadLetter]:
    letters = dead_letters_for(run.tenant, **run.conditions).filter(status__in=OPEN)
    return letters if run.last_id is None else letters.filter(pk__lte=run.last_id)
