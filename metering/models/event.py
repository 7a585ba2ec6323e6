"""Events as stored: an identity for ever, the event in its month, and the context both customers and events share.

The tables are made in SQL (migration 0002): the months are partitions, and the columns stand widest first, which
saves eight bytes of padding an event.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models

from aforo.tenancy.models import Customer, TenantRow

DUPLICATES_KEPT = timedelta(days=30)


class UsageContext(TenantRow):
    """What enrichment found, kept once and referred to by number: 4 bytes an event instead of 60.

    A later edit of a plan makes a new context and never changes an old one.
    """

    id = models.AutoField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    metric = models.CharField(max_length=128)
    source = models.CharField(max_length=255)
    subscription_id = models.UUIDField(null=True)
    plan_version_id = models.UUIDField(null=True)
    product = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "tenant",
                    "customer",
                    "metric",
                    "source",
                    "subscription_id",
                    "plan_version_id",
                    "product",
                ],
                name="usage_context",
                nulls_distinct=False,
            )
        ]


class Identity(models.Model):
    """(tenant, key) was seen: unique for ever, whatever the event's time. Never pruned.

    identity: the first 16 bytes of SHA-256 of the idempotency key. fingerprint: 8 bytes over the content without
    its time. intake_id: tells a second internal copy of one submission from a client's retry.
    """

    pk = models.CompositePrimaryKey("tenant", "identity")
    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    context = models.ForeignKey(
        UsageContext, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    identity = models.UUIDField()
    fingerprint = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    intake_id = models.BigIntegerField()
    is_timestamp_given = models.BooleanField()

    class Meta:
        managed = False
        db_table = "metering_identity"


class Duplicate(models.Model):
    """An event that came again was counted as a duplicate, under this intake id.

    An internal copy of it, read later, is thereby known as a copy. Kept for DUPLICATES_KEPT, which is longer than any
    copy waits in a log or a spool.
    """

    pk = models.CompositePrimaryKey("tenant", "intake_id")
    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    intake_id = models.BigIntegerField()
    counted_at = models.DateTimeField()


class Event(models.Model):
    """One accepted event; never edited. Partitioned by the month of its own time."""

    pk = models.CompositePrimaryKey("tenant", "identity", "occurred_at")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    identity = models.UUIDField()
    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    context = models.ForeignKey(
        UsageContext, on_delete=models.DO_NOTHING, related_name="events", db_constraint=False
    )
    is_late = models.BooleanField()
    quantity = models.DecimalField(max_digits=60, decimal_places=30)
    key = models.CharField(max_length=255)
    properties = models.JSONField(default=dict)

    class Meta:
        managed = False
        db_table = "metering_event"
