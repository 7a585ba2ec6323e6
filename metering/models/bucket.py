"""Bucket: one customer's usage of one meter in one UTC hour, as mergeable partial aggregates."""

from __future__ import annotations

from django.db import models


class Bucket(models.Model):
    """(tenant, customer, meter, hour, dimensions) -> the fields of `metering.aggregation.Partial`.

    hour: the UTC hour's first instant. dimensions: the meter's group-by values as canonical JSON text, "{}" where it
    has none. Merged by the writer from new events only, in the transaction that stores them.
    """

    pk = models.CompositePrimaryKey("tenant", "customer", "meter", "hour", "dimensions")
    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    customer = models.ForeignKey(
        "tenancy.Customer", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    meter = models.ForeignKey(
        "metering.MeterRow", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    hour = models.DateTimeField()
    dimensions = models.TextField()
    count = models.BigIntegerField(help_text="Events.")
    value_count = models.BigIntegerField(help_text="Those of them with a number, which AVG divides by.")
    sum = models.DecimalField(max_digits=60, decimal_places=30)
    max = models.DecimalField(max_digits=60, decimal_places=30, null=True)
    min = models.DecimalField(max_digits=60, decimal_places=30, null=True)
    latest_at = models.DateTimeField(null=True)
    latest_key = models.CharField(max_length=255, null=True)
    latest_value = models.DecimalField(max_digits=60, decimal_places=30, null=True)

    class Meta:
        managed = False
        db_table = "metering_bucket"
