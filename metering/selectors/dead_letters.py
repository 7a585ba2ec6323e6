"""The doors to dead letters; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import DeadLetter, DeadLetterStatus


def dead_letters_for(
    tenant: Tenant,
    *,
    status: str | None = None,
    code: str | None = None,
    customer_id: str | None = None,
    metric: str | None = None,
    source: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    ids: Collection[UUID] | None = None,
) -> QuerySet[DeadLetter]:
    """Dead letters, the latest first, without their payloads.

    customer_id, metric, source: as sent. start, end: of receipt.
    """
    conditions = {
        "status": status,
        "code": code,
        "customer": customer_id,
        "metric": metric,
        "source": source,
        "received_at__gte": start,
        "received_at__lt": end,
        "pk__in": ids,
    }
    return DeadLetter.objects.of(tenant).filter(**given(**conditions)).defer("payload").order_by("-pk")


def dead_letter_for(tenant: Tenant, letter_id: UUID) -> DeadLetter:
    """Raises Problem not_found."""
    return found(DeadLetter.objects.of(tenant), pk=letter_id)


def tenants_holding() -> QuerySet[Tenant]:
    """The tenants that have an event held."""
    return Tenant.objects.filter(
        pk__in=DeadLetter.objects.filter(status=DeadLetterStatus.HELD).order_by().values("tenant")
    )
