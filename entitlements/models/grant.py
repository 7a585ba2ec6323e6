"""Grant: units beside an entitlement's limit, for one customer."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow

from .. import burndown
from .feature import Feature

# Of days these are almost three years.
RECURRENCE_COUNT_MAX = 1_000


class Grant(TenantRow):
    """Burnt down by what exceeds the limit of a window: lower priority first, then what expires soonest, then the oldest."""

    class Recurrence(models.TextChoices):
        DAY = "day", "Days"
        WEEK = "week", "Weeks"
        MONTH = "month", "Months"
        YEAR = "year", "Years"

    class State(models.TextChoices):
        SCHEDULED = "SCHEDULED", "Scheduled"
        ACTIVE = "ACTIVE", "Active"
        EXPIRED = "EXPIRED", "Expired"
        REVOKED = "REVOKED", "Revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="grants")
    amount = models.DecimalField(max_digits=24, decimal_places=6, validators=[MinValueValidator(0)])
    priority = models.PositiveSmallIntegerField(default=100, help_text="Lower burns first.")
    effective_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on what is left is gone; empty: never."
    )
    recurrence = models.CharField(
        max_length=5,
        blank=True,
        choices=Recurrence.choices,
        help_text="It has its amount again every so many of these from its start on, whatever was left; empty: never.",
    )
    recurrence_count = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(RECURRENCE_COUNT_MAX)],
        help_text="Of a grant that recurs: 2 with weeks is every other week.",
    )
    max_rollover = models.DecimalField(
        max_digits=24,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Of what is left, at most so much stays when the feature's window turns; empty: all of it.",
    )
    min_rollover = models.DecimalField(
        max_digits=24,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
        help_text="It has at least so much when the feature's window turns.",
    )
    reason = models.CharField(max_length=200, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="grant_term",
                condition=models.Q(expires_at__isnull=True)
                | models.Q(expires_at__gt=models.F("effective_at")),
                violation_error_message="A grant expires after it begins.",
            ),
            models.CheckConstraint(
                name="grant_rollover",
                condition=models.Q(min_rollover__lte=models.F("amount"))
                & (
                    models.Q(max_rollover__isnull=True) | models.Q(max_rollover__gte=models.F("min_rollover"))
                ),
                violation_error_message="The least that rolls over is above neither the amount nor the most.",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "customer"], name="feature_grant_customer")]
        ordering = ["priority", models.F("expires_at").asc(nulls_last=True), "created_at"]

    def clean(self) -> None:
        super().clean()
        errors = {}
        if not self.recurrence and self.recurrence_count != 1:
            errors["recurrence_count"] = "Only a grant that recurs has a count; say of what in recurrence."
        if self.min_rollover is not None:
            if self.amount is not None and self.min_rollover > self.amount:
                errors["min_rollover"] = "A grant never has more than its amount."
            elif self.max_rollover is not None and self.min_rollover > self.max_rollover:
                errors["min_rollover"] = "The least that stays is not above the most that stays."
        if errors:
            raise ValidationError(errors)

    def grant(self, zone: ZoneInfo) -> burndown.Grant:
        """The row's value. zone: the customer's, whose calendar a recurrence follows."""
        recurrence = None
        if self.recurrence:
            recurrence = burndown.recurrence_from(
                self.effective_at, self.recurrence, self.recurrence_count, zone
            )
        return burndown.Grant(
            key=str(self.pk),
            amount=self.amount,
            priority=self.priority,
            effective_at=self.effective_at,
            expires_at=self.expires_at,
            created_at=self.created_at,
            revoked_at=self.revoked_at,
            recurrence=recurrence,
            max_rollover=self.max_rollover,
            min_rollover=self.min_rollover,
        )

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} of {self.feature} for {self.customer.external_id}"
