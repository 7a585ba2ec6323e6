"""The stored meter; `metering.meters.Meter` is its value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable
from aforo.tenancy.models import TenantRow

from .. import fields
from ..aggregation import Aggregation
from ..meters import GROUP_BY_MAX, Conversion, Filter, Meter, kind_of

# With these, any sum of quantities converts to less than the 60 digits of the arithmetic.
FACTOR_MAX = Decimal(10**12)
CONVERSION_PLACES_MAX = 12


class MeterRow(TenantRow):
    """Turns the events of one name into a quantity."""

    class Aggregation(models.TextChoices):
        COUNT = "COUNT", "Count of events"
        SUM = "SUM", "Sum"
        MAX = "MAX", "Highest"
        MIN = "MIN", "Lowest"
        AVG = "AVG", "Average"
        UNIQUE = "UNIQUE", "Distinct values"
        LATEST = "LATEST", "Latest"
        WEIGHTED_SUM = "WEIGHTED_SUM", "Average level over time"
        PERCENTILE = "PERCENTILE", "Percentile"

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
    percentile = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="For a percentile: above 0, at most 100; 95 for p95.",
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
    conversion = models.JSONField(
        null=True,
        blank=True,
        help_text="From what is counted to what is billed, such as seconds to hours begun: "
        '{"operation": "divide", "factor": "3600", "rounding": "up", "places": 0}.',
    )
    allows_negative = models.BooleanField(default=False)
    frozen_at = models.DateTimeField(
        null=True, editable=False, help_text="When a published charge first used the meter."
    )
    created_at = models.DateTimeField(default=now, editable=False)

    FROZEN_ONCE_PRICED: ClassVar[tuple[str, ...]] = (
        "aggregation",
        "value_property",
        "percentile",
        "conversion",
    )

    class Meta:
        db_table = "metering_meter"
        verbose_name = "meter"
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="meter_key")]
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        super().clean()
        try:
            self.meter()
        except Problem as problem:
            known = {field.name for field in self._meta.get_fields()}
            errors = {name.partition("[")[0].partition(".")[0] for name in problem.facts.get("errors", ())}
            raise ValidationError(
                {name: problem.detail for name in errors if name in known} or problem.detail
            ) from None

    def meter(self) -> Meter:
        """The row's value; its only reader, so that what is saved and what counts cannot differ.

        Raises Problem field_invalid or fields_missing for filters, dimensions or a percentile that are none.
        """
        aggregation = Aggregation(fields.choice(self.aggregation, "aggregation", tuple(Aggregation)))
        dimensions = fields.list_of(self.group_by, "group_by", fields.text)
        if len(dimensions) > GROUP_BY_MAX:
            raise fields.invalid(
                "group_by", f"has {len(dimensions)} dimensions; up to {GROUP_BY_MAX} are kept"
            )
        if len(set(dimensions)) < len(dimensions) or "" in dimensions:
            raise fields.invalid("group_by", "names a dimension twice or not at all")
        return Meter(
            id=self.pk or 0,
            key=self.key,
            event_name=self.event_name or self.key,
            aggregation=aggregation,
            value_property=self.value_property,
            filters=fields.list_of(self.filters, "filters", _filter),
            group_by=dimensions,
            unit=self.unit,
            conversion=self._conversion(),
            allows_negative=self.allows_negative,
            percentile=self._percentile(aggregation),
        )

    def _conversion(self) -> Conversion | None:
        factor = self.conversion.get("factor") if isinstance(self.conversion, dict) else None
        # As of filters: what the database reads back is no exact fraction.
        if isinstance(factor, float | Decimal):
            raise fields.invalid("conversion.factor", f'is a fraction; write it as text, "{factor}"')
        conversion = fields.conversion(self.conversion)
        if conversion is not None and not 1 / FACTOR_MAX <= conversion.factor <= FACTOR_MAX:
            raise fields.invalid("conversion.factor", f"does not lie between 1/{FACTOR_MAX} and {FACTOR_MAX}")
        if conversion is not None and abs(conversion.places) > CONVERSION_PLACES_MAX:
            raise fields.invalid(
                "conversion.places",
                f"does not lie between -{CONVERSION_PLACES_MAX} and {CONVERSION_PLACES_MAX}",
            )
        return conversion

    def _percentile(self, aggregation: Aggregation) -> Decimal | None:
        if aggregation is not Aggregation.PERCENTILE:
            if self.percentile is not None:
                raise fields.invalid("percentile", f"belongs to PERCENTILE, not to {aggregation}")
            return None
        rank = fields.percentile(self.percentile)
        if rank is None:
            raise fields.invalid("percentile", "is missing; 95 is p95")
        return rank


def _filter(value: Any, field: str) -> Filter:
    condition = fields.filter_of(value, field)
    items = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    for item in items:
        # JSON in the database has no exact fractions: 0.5 is kept, and compared, as the text "0.5".
        if isinstance(item, float | Decimal):
            raise fields.invalid(f"{field}.value", f'is a fraction; write it as text, "{item}"')
        if not isinstance(item, str | int) or not is_storable(item):
            raise fields.invalid(f"{field}.value", f"is {kind_of(item)}, not text or a whole number")
    return condition
