"""Correction: an accepted event says something else from now on, or counts no longer; the event itself is never edited."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .event import UsageContext


class CorrectionKind(models.TextChoices):
    AMEND = "AMEND", "Amended"
    VOID = "VOID", "Voided"


class Correction(TenantRow):
    """Takes the place of one event row: superseded counts no longer, replacement counts from now on.

    A replacement is a row of metering_event like any other, under an identity of its own that no sender can use; the
    next correction of the event supersedes it. Rows are found by identity, instant and context (replacement_*: null
    where the event was voided).
    sequence: 1, 2, 3 … within the tenant, in the order in which they took effect. idempotency_key: the event's.
    before, after: what counted until then and from then on, as JSON text with exact numbers; after is empty for VOID.
    actor: the API key's id, or the user. Held by the database: never changed or removed.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sequence = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=5, choices=CorrectionKind.choices)
    idempotency_key = models.CharField(max_length=255, help_text="Of the event.")
    superseded = models.UUIDField()
    superseded_at = models.DateTimeField()
    superseded_context = models.ForeignKey(UsageContext, on_delete=models.PROTECT, related_name="+")
    replacement = models.UUIDField(null=True)
    replacement_at = models.DateTimeField(null=True)
    replacement_context = models.ForeignKey(
        UsageContext, null=True, on_delete=models.PROTECT, related_name="+"
    )
    before = models.TextField()
    after = models.TextField(blank=True)
    reason = models.TextField()
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name = "correction"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "sequence"], name="correction_sequence"),
            # Nothing is superseded twice, so that an event's corrections are one chain.
            models.UniqueConstraint(fields=["tenant", "superseded"], name="correction_superseded"),
            models.UniqueConstraint(fields=["tenant", "replacement"], name="correction_replacement"),
        ]
        indexes = [
            models.Index(fields=["tenant", "idempotency_key", "sequence"], name="correction_event"),
        ]
        ordering = ["-sequence"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.idempotency_key}"

    @property
    def is_void(self) -> bool:
        return self.kind == CorrectionKind.VOID
