"""Dead letter: a refused event, or a body that could not be read, kept as it came."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow


class DeadLetterStatus(models.TextChoices):
    NEW = "NEW", "New"
    HELD = "HELD", "Held"
    REPLAYED = "REPLAYED", "Replayed"
    RESOLVED = "RESOLVED", "Resolved"
    DISCARDED = "DISCARDED", "Discarded"


# Of those that wait for somebody.
OPEN = (DeadLetterStatus.NEW, DeadLetterStatus.HELD)


class DeadLetter(TenantRow):
    """Kept until somebody replays or discards it; a replay goes through the same validator.

    NEW waits for a person, HELD for what it names to be known (MeteringProfile).
    intake_id: the refused event's own; unique, so that a repeated drain files it once.
    payload: the event as received (JSON text), or the first 64 KiB of an unreadable body.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    intake_id = models.BigIntegerField(editable=False)
    idempotency_key = models.CharField(max_length=255, blank=True)
    customer = models.CharField(max_length=255, blank=True, help_text="customer_id as sent.")
    metric = models.CharField(max_length=255, blank=True, help_text="metric as sent.")
    code = models.CharField(max_length=64, help_text="Reason; docs/problems.md lists them.")
    detail = models.TextField()
    facts = models.JSONField(default=dict)
    payload = models.BinaryField()
    payload_length = models.BigIntegerField(help_text="Bytes as received.")
    payload_sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=255, blank=True)
    # The submission without its body (door, strictness, headers): what a replay validates under.
    envelope = models.JSONField(default=dict)
    api_key_id = models.UUIDField(null=True)
    source = models.CharField(max_length=255, blank=True)
    received_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=DeadLetterStatus.choices, default=DeadLetterStatus.NEW)
    attempts = models.IntegerField(default=1)
    result = models.JSONField(default=dict, blank=True, help_text="Where the last replay ended.")
    actor = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was discarded.")
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "intake_id"], name="dead_letter_intake")]
        indexes = [
            models.Index(fields=["tenant", "status", "received_at"], name="dead_letter_open"),
            models.Index(
                fields=["tenant", "code", "metric", "customer"],
                condition=models.Q(status=DeadLetterStatus.HELD),
                name="dead_letter_held",
            ),
        ]
        ordering = ["-received_at"]

    def __str__(self) -> str:
        return f"{self.code} {self.idempotency_key}"
