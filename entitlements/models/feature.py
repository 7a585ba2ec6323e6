"""Feature: something a customer may use, on or off, with a value, or metered."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CodeField

PLACES_MAX = 6


class Feature(TenantRow):
    class Kind(models.TextChoices):
        BOOLEAN = "BOOLEAN", "On or off"
        STATIC = "STATIC", "A value, such as 5 seats"
        METERED = "METERED", "Metered, with a limit"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField(help_text="What the API calls featureKey, such as advanced_ai_search.")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=7, choices=Kind.choices, default=Kind.METERED)
    meter = models.ForeignKey(
        "metering.MeterRow",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose usage counts against the limit; of a metered feature only.",
    )
    unit = models.CharField(max_length=32, blank=True, help_text="Label of one unit, such as search.")
    decimal_places = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(PLACES_MAX)],
        help_text="Digits after the point that limits and usage have; 0: whole units.",
    )
    is_archived = models.BooleanField(default=False, help_text="An archived feature is unknown to gateways.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="feature_code"),
            models.CheckConstraint(
                name="feature_meter_by_kind",
                condition=models.Q(kind="METERED", meter__isnull=False)
                | (~models.Q(kind="METERED") & models.Q(meter__isnull=True)),
                violation_error_message="A metered feature has a meter, and the others have none.",
            ),
        ]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        super().clean()
        if self.kind != self.Kind.METERED and self.decimal_places:
            raise ValidationError({"decimal_places": "Only a metered feature has units."})
