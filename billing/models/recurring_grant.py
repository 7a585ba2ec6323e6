"""Recurring grant: money given to a wallet anew each month."""

from __future__ import annotations

from django.db import models

from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import AmountField, check_term
from .wallet import Wallet


class RecurringGrant(TenantRow):
    """Given once for each month from starts_on, at local midnight in the customer's zone.

    months_given: how many have begun. next_at: when the next one begins, null once it has ended.
    """

    class Kind(models.TextChoices):
        PROMO = "PROMO", "Promotional"
        BONUS = "BONUS", "Bonus"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="recurring_grants")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.PROMO)
    amount = AmountField()
    starts_on = models.DateField(
        help_text="Each month begins on its day, or the last day of a shorter month."
    )
    ends_on = models.DateField(null=True, blank=True, help_text="First day without it; empty: open.")
    is_kept = models.BooleanField(
        default=False, help_text="What a month leaves unused stays; otherwise it expires with the month."
    )
    months_given = models.PositiveIntegerField(default=0, editable=False)
    next_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="recurring_grant_positive",
                condition=models.Q(amount__gt=0),
                violation_error_message="A grant is above zero.",
            ),
            models.CheckConstraint(
                name="recurring_grant_term",
                condition=models.Q(ends_on__isnull=True) | models.Q(ends_on__gt=models.F("starts_on")),
                violation_error_message="A term ends after it starts.",
            ),
        ]
        indexes = [models.Index(fields=["next_at"], name="recurring_grant_next")]
        ordering = ["starts_on", "id"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount.normalize():f} a month"
