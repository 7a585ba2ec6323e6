"""Facts: what happened, for whoever acts on it after the commit."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import TenantRow


class Fact(TenantRow):
    """Something that happened in a transaction and is true once that is committed; gone when its consumer has acted.

    topic: what kind of thing, such as entitlements.touched; one consumer takes it. body: whatever the topic says.
    """

    topic = models.CharField(max_length=64)
    body = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["topic", "id"], name="fact_topic")]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"
