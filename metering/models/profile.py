"""Metering profile: what a tenant does with events that name something unknown, and when refusals are worth an alarm."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aforo.tenancy.models import TenantRow


class MeteringProfile(TenantRow):
    """One a tenant; without a row the defaults count.

    alert_letters_min, alert_share_percent: both have to be reached within an hour; docs/metering/dead-letters.md.
    """

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    holds_unknown_metrics = models.BooleanField(
        default=False,
        verbose_name="hold unknown metrics",
        help_text="Answer 202 and keep the event until a meter listens to its metric, or the name is mapped.",
    )
    holds_unknown_customers = models.BooleanField(
        default=False,
        verbose_name="hold unknown customers",
        help_text="Answer 202 and keep the event until there is a customer of its name, or the name is mapped.",
    )
    alert_letters_min = models.PositiveIntegerField(
        default=100,
        validators=[MinValueValidator(1)],
        verbose_name="dead letters an hour",
        help_text="Fewer new ones in the last hour are no alarm.",
    )
    alert_share_percent = models.DecimalField(
        default=Decimal(5),
        max_digits=5,
        decimal_places=2,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
        verbose_name="percent of what was received",
        help_text="A smaller share of the hour's events is no alarm.",
    )

    class Meta:
        verbose_name = "metering profile"

    def __str__(self) -> str:
        return "Metering profile"

    @property
    def held_codes(self) -> frozenset[str]:
        """The codes of refusals whose events are held."""
        held = {
            "metric_unknown": self.holds_unknown_metrics,
            "customer_unknown": self.holds_unknown_customers,
        }
        return frozenset(code for code, is_held in held.items() if is_held)
