"""Leases: which site may admit how much of a hard quota. See leases.py for what always holds of the numbers."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, TenantRow

from .feature import Feature


class QuotaPool(TenantRow):
    """A hard quota of one customer, feature and window; its row is the lock under which units are handed out.

    window_end: the latest that a renewal said: where a subscription has made it an earlier one since, units are out till then.
    """

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    feature = models.ForeignKey(Feature, on_delete=models.CASCADE, related_name="+")
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "customer", "feature", "window_start"], name="quota_pool_window"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "window_end"], name="quota_pool_end"),
            models.Index(fields=["tenant", "window_start"], name="quota_pool_start"),
        ]
        ordering = ["-id"]
        verbose_name = "quota with leases"
        verbose_name_plural = "quotas with leases"

    def __str__(self) -> str:
        return f"{self.customer.external_id}: {self.feature.code} from {self.window_start:%Y-%m-%d %H:%M}"


class Lease(TenantRow):
    """What one life of a site's memory has of a pool, in units of 10 to the minus the feature's places.

    granted, returned, settled: totals that only grow. is_recalled: another site wants units, and the centre has none left.
    renewed_at: when its site last asked for units, or gave some back.
    """

    # A site goes from a lease to one of a higher number only.
    id = models.BigAutoField(primary_key=True)
    pool = models.ForeignKey(QuotaPool, on_delete=models.CASCADE, related_name="leases")
    edge = models.CharField(max_length=64)
    epoch = models.CharField(max_length=64)
    granted = models.BigIntegerField(default=0)
    returned = models.BigIntegerField(default=0)
    settled = models.BigIntegerField(default=0)
    is_recalled = models.BooleanField(default=False)
    renewed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pool", "edge", "epoch"], name="lease_of_site"),
            models.CheckConstraint(
                name="lease_totals",
                condition=models.Q(granted__gte=0, returned__gte=0, settled__gte=0),
                violation_error_message="Totals of a lease are zero or more.",
            ),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.edge}: {self.granted} of {self.pool}"


class Settlement(TenantRow):
    """A reservation whose event is billed usage: once, however many events name it."""

    id = models.BigAutoField(primary_key=True)
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="settlements")
    nonce = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["lease", "nonce"], name="settlement_once")]

    def __str__(self) -> str:
        return f"{self.lease_id}.{self.nonce}"
