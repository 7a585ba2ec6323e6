"""The stored meter; `metering.meters.Meter` is its value."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import TenantRow


class MeterRow(TenantRow):
    """Turns the events of one name into a quantity."""

    class Aggregation(models.TextChoices):
        COUNT = "COUNT", "Count of events"
        SUM = "SUM", "Sum"
        MAX = "MAX", "Highest"
        UNIQUE = "UNIQUE", "Distinct values"
        LATEST = "LATEST", "Latest"

    # A number and not a UUID because every bucket names it.
    id = models.AutoField(primary_key=True)
    key = models.CharField(max_length=128, help_text="What the API calls metric, such as api.call.")
    name = models.CharField(max_length=200, blank=True)
    event_name = models.CharField(
        max_length=128, blank=True, help_text="The metric of the events it listens to; empty: its own key."
    )
    aggregation = models.CharField(max_length=16, choices=Aggregation.choices, default=Aggregation.SUM)
    value_property = models.CharField(
        max_length=128, default="quantity", help_text="quantity, or the property that carries the value."
    )
    filters = models.JSONField(
        default=list,
        blank=True,
        help_text='A list such as [{"field": "model", "operator": "EQUALS", "value": "gpt-4o"}].',
    )
    group_by = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        help_text="Up to 8 properties, comma-separated.",
    )
    unit = models.CharField(max_length=32, blank=True, help_text="Label of one unit, such as call or token.")
    allows_negative = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    FROZEN_ONCE_PRICED: ClassVar[tuple[str, ...]] = ("aggregation", "value_property")

    class Meta:
        db_table = "metering_meter"
        verbose_name = "meter"
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="meter_key")]
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key
