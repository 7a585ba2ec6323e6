"""Grant: units beside an entitlement's limit, for one customer."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow

from .feature import Feature


class Grant(TenantRow):
    """Burnt down by what exceeds the limit of a window: lower priority first, then what ends soonest, then the oldest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="grants")
    amount = models.DecimalField(max_digits=24, decimal_places=6, validators=[MinValueValidator(0)])
    priority = models.PositiveSmallIntegerField(default=100, help_text="Lower burns first.")
    effective_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on what is left is gone; empty: never."
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
        ]
        indexes = [models.Index(fields=["tenant", "customer"], name="feature_grant_customer")]
        ordering = ["priority", models.F("expires_at").asc(nulls_last=True), "created_at"]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} of {self.feature} for {self.customer.external_id}"
