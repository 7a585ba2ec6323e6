"""The doors to dead letters; each asks for the tenant."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import DeadLetter


def dead_letters_for(
    tenant: Tenant,
    *,
    status: str | None = None,
    code: str | None = None,
    customer_id: str | None = None,
    metric: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> QuerySet[DeadLetter]:
    """Dead letters, the latest first, without their payloads. customer_id, metric: as sent. start, end: of receipt."""
    conditions = {
        "status": status,
        "code": code,
        "customer": customer_id,
        "metric": metric,
        "received_at__gte": start,
        "received_at__lt": end,
    }
    asked = {name: value for name, value in conditions.items() if value is not None}
    return DeadLetter.objects.of(tenant).filter(**asked).defer("payload").order_by("-pk")


def dead_letter_for(tenant: Tenant, letter_id: UUID) -> DeadLetter:
    """Raises Problem not_found."""
    return found(DeadLetter.objects.of(tenant), pk=letter_id)
