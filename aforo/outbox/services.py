"""Facts are written with the data they tell of, and taken by the consumer of their topic: once at least."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from .models import Fact


def fact_write(
    *, tenant: Tenant, topic: str, body: dict[str, Any], created_at: datetime | None = None
) -> Fact:
    """Tell the topic's consumer, if the caller's transaction commits.

    created_at: of a fact that was taken and is handed on to the next turn; left out, now.
    """
    return Fact.objects.create(tenant=tenant, topic=topic, body=body, created_at=created_at or now())


def facts_take(topic: str, count_max: int) -> list[Fact]:
    """The oldest facts of a topic that nobody else is taking, removed in the caller's transaction.

    The caller acts on them before it commits: if it rolls back or dies, they are there for the next one, who may then do
    again what was done already. Two takers never get the same fact, and do not wait for each other.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("facts are taken in the transaction that acts on them")
    facts = list(
        Fact.objects.filter(topic=topic).order_by("id").select_for_update(skip_locked=True)[:count_max]
    )
    # Most who ask, and they ask every moment, find nothing.
    if facts:
        Fact.objects.filter(pk__in=[fact.pk for fact in facts]).delete()
    return facts
