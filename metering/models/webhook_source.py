"""Webhook source: another system that posts its own payloads, and the secret that it signs them with."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

TOLERANCE_S_DEFAULT = 300


class WebhookScheme(models.TextChoices):
    STANDARD = "standard", "Standard Webhooks"
    PLAIN = "plain", "X-Signature"


class WebhookSource(TenantRow):
    """Posts to /v1/ingest/webhook/<public_id>; the signature proves it, no key is needed.

    sealed_secret: see aforo/tenancy/seal.py. sealed_secret_before: the one before a rotation, until secret_before_until.
    mapping: see metering/mapping.py; empty where the payloads use our own names.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    name = models.CharField(max_length=100)
    scheme = models.CharField(max_length=8, choices=WebhookScheme.choices, default=WebhookScheme.STANDARD)
    mapping = models.JSONField(default=dict, blank=True)
    tolerance_s = models.PositiveIntegerField(
        default=TOLERANCE_S_DEFAULT,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 3600)],
        help_text="Seconds that a delivery's timestamp may lie from now; a later copy of it is refused.",
    )
    rate_limit_per_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="Deliveries a second; empty: no limit."
    )
    sealed_secret = models.BinaryField()
    sealed_secret_before = models.BinaryField(null=True)
    secret_before_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "webhook source"

    def __str__(self) -> str:
        return f"{self.public_id} · {self.name}"

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None
