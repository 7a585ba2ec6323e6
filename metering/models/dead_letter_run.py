"""Dead letter run: many dead letters replayed or discarded at once, and how far that is."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow


class DeadLetterRunAction(models.TextChoices):
    REPLAY = "REPLAY", "Replay"
    DISCARD = "DISCARD", "Discard"


class DeadLetterRunStatus(models.TextChoices):
    PLANNED = "PLANNED", "Planned"
    RUNNING = "RUNNING", "Running"
    COMPLETED = "COMPLETED", "Completed"
    CANCELLED = "CANCELLED", "Cancelled"


class DeadLetterRun(TenantRow):
    """Of the letters that wait for somebody and fit the filters, up to last_id: later ones are another run's.

    filters: what dead_letters_for takes, instants as text, ids as texts.
    metric_to, customer_to: the name that each event gets in place of its own; empty: it keeps its own.
    total: letters that fitted when it was planned. done: those that were looked at, of which position is the last.
    outcomes: how many ended in each outcome of their replay (or as discarded, or left).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    action = models.CharField(max_length=7, choices=DeadLetterRunAction.choices)
    filters = models.JSONField(default=dict)
    metric_to = models.CharField(max_length=255, blank=True)
    customer_to = models.CharField(max_length=255, blank=True)
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=200, blank=True)
    status = models.CharField(
        max_length=9, choices=DeadLetterRunStatus.choices, default=DeadLetterRunStatus.PLANNED
    )
    total = models.IntegerField(default=0)
    done = models.IntegerField(default=0)
    outcomes = models.JSONField(default=dict)
    last_id = models.UUIDField(null=True)
    position = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    moved_at = models.DateTimeField(default=now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["moved_at"],
                condition=models.Q(status=DeadLetterRunStatus.RUNNING),
                name="dead_letter_run_unfinished",
            )
        ]
        ordering = ["-id"]
        verbose_name = "dead letter run"

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.total:,} dead letter{'' if self.total == 1 else 's'}"

    @property
    def names(self) -> dict[str, str]:
        """The names that events get in place of their own, by field."""
        names = {"metric": self.metric_to, "customer_id": self.customer_to}
        return {field: name for field, name in names.items() if name}

    @property
    def conditions(self) -> dict[str, Any]:
        """The filters as dead_letters_for takes them."""
        return {
            name: [UUID(one) for one in value]
            if name == "ids"
            else datetime.fromisoformat(value)
            if name in ("start", "end")
            else value
            for name, value in self.filters.items()
        }
