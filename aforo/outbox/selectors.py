"""What waits in the outbox."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Min

from .models import Fact


def fact_oldest_at(topic: str) -> datetime | None:
    """When the oldest fact of a topic was written; None where none waits."""
    return Fact.objects.filter(topic=topic).aggregate(at=Min("created_at"))["at"]
