"""How far the publisher is, as anybody may see it."""

from __future__ import annotations

from django.db.models import Count, Max

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from ..models import EdgeRecordRow, PublisherState


def publisher_state() -> PublisherState | None:
    """None before there ever was a publisher."""
    return PublisherState.objects.first()


def published_age_ms() -> int | None:
    """Milliseconds since the publisher last ended a turn; None before the first."""
    state = publisher_state()
    return None if state is None else max(0, int((now() - state.turned_at).total_seconds() * 1000))


def version_last() -> int:
    """The highest version there is; 0 before the first record."""
    return EdgeRecordRow.objects.aggregate(last=Max("version"))["last"] or 0


def records_counted(tenant: Tenant | None = None) -> dict[str, int]:
    """How many records there are of each kind, removed ones included; of all tenants where none is given."""
    rows = EdgeRecordRow.objects.all() if tenant is None else EdgeRecordRow.objects.of(tenant)
    return dict(rows.order_by("kind").values_list("kind").annotate(count=Count("pk")))
