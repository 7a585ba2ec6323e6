"""What the sites of the edge are told, and how far the telling is."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import TenantRow


class EdgeRecordKind(models.TextChoices):
    TENANT = "tenant"
    CUSTOMER = "customer"
    FEATURE = "feature"
    KEY = "key"


class EdgeRecordRow(TenantRow):
    """One record (entitlements/records.py) as it was last published; there is one row for each, removed ones included.

    customer: its external_id, "" where the record is no customer's. name: the feature's code or the key's public id.
    version: grows with every change of any record, so that a site asks for what is above the highest one it has; only
    the publisher writes, in one transaction after the other. body: the record as JSON, without version and as_of.
    """

    kind = models.CharField(max_length=8, choices=EdgeRecordKind)
    customer = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255, blank=True)
    version = models.BigIntegerField(unique=True)
    as_of = models.DateTimeField()
    body = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "customer", "name"], name="edge_record_name")
        ]
        indexes = [models.Index(fields=["tenant", "version"], name="edge_record_version")]
        verbose_name = "edge record"

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.customer, self.name)))


class PublisherState(models.Model):
    """The one row by which others see whether the publisher works.

    turned_at: end of its last turn. repaired_at: since when every record has been made anew at least once. repairs: how
    often that was done. repaired: records that a repair found to be wrong or missing, in the store or at the central site.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    turned_at = models.DateTimeField(default=now)
    repaired_at = models.DateTimeField(null=True)
    repairs = models.BigIntegerField(default=0)
    repaired = models.BigIntegerField(default=0)
