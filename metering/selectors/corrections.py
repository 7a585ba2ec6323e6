"""The doors to corrections; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import Correction, UsageContext
from .events import StoredEvent, event_for, replacement_for


def corrections_for(
    tenant: Tenant,
    *,
    kind: str | None = None,
    idempotency_key: str | None = None,
    customer_id: str | None = None,
    metric: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> QuerySet[Correction]:
    """Corrections, the latest first. start, end: of when they were made.

    customer_id, metric: of the event before or after, so that what was moved from one customer to another shows with
    both.
    """
    corrections = Correction.objects.of(tenant).filter(
        **given(kind=kind, idempotency_key=idempotency_key, created_at__gte=start, created_at__lt=end)
    )
    for name, value in given(customer__external_id=customer_id, metric=metric).items():
        corrections = corrections.filter(
            Q(**{f"superseded_context__{name}": value}) | Q(**{f"replacement_context__{name}": value})
        )
    return corrections.order_by("-sequence")


def correction_for(tenant: Tenant, correction_id: UUID) -> Correction:
    """Raises Problem not_found."""
    return found(Correction.objects.of(tenant), pk=correction_id)


def counting_event_for(tenant: Tenant, key: str) -> StoredEvent | None:
    """What counts today under an idempotency key: as accepted or as corrected; None where nothing is stored or left."""
    last = corrections_for(tenant, idempotency_key=key).first()
    if last is None:
        return event_for(tenant, key)
    return None if last.is_void else replacement_for(last)


def corrected_instants(tenant: Tenant, *, customer_id: int, metric: str) -> list[datetime]:
    """The instants at which a customer's usage of a metric was ever corrected. customer_id: the customer's row."""
    contexts = UsageContext.objects.of(tenant).filter(customer_id=customer_id, metric=metric)
    corrections = Correction.objects.of(tenant)
    superseded = corrections.filter(superseded_context__in=contexts).values_list("superseded_at", flat=True)
    replaced = corrections.filter(replacement_context__in=contexts).values_list("replacement_at", flat=True)
    return [*superseded, *replaced]


def last_correction(tenant: Tenant) -> int:
    """The sequence of the tenant's last correction; 0 where there was none."""
    last = Correction.objects.of(tenant).order_by("-sequence").first()
    return last.sequence if last else 0


class CorrectedUsage(NamedTuple):
    """A correction with one of the one or two places whose usage it changed."""

    correction: Correction
    customer_id: int
    metric: str
    at: datetime


def corrected_usage(
    tenant: Tenant, *, customer_ids: Collection[int], metrics: Collection[str], after: int
) -> list[CorrectedUsage]:
    """What corrections after a sequence changed of some customers' usage, in their order. customer_ids: of their rows."""
    changed = []
    for name in ("superseded", "replacement"):
        rows = Correction.objects.of(tenant).filter(
            **{
                "sequence__gt": after,
                f"{name}_context__customer_id__in": list(customer_ids),
                f"{name}_context__metric__in": list(metrics),
            }
        )
        for row in rows.select_related(f"{name}_context"):
            context = getattr(row, f"{name}_context")
            changed.append(
                CorrectedUsage(row, context.customer_id, context.metric, getattr(row, f"{name}_at"))
            )
    return sorted(changed, key=lambda one: one.correction.sequence)
