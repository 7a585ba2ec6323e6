"""Standing: what a customer holds, as billing last said it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, TenantRow

from .. import resolution


class Standing(TenantRow):
    """One row a customer. A customer without one has no subscription, and needs none for what it has by itself."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, primary_key=True, related_name="+")
    is_wallet_empty = models.BooleanField(default=False, help_text="Prepaid, and nothing is left.")
    told_at = models.DateTimeField(default=now, editable=False)

    def __str__(self) -> str:
        return str(self.customer)


class Holding(TenantRow):
    """One subscription of a customer, the codes of what it gives, and its billing periods around now."""

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    subscription = models.CharField(max_length=64)
    offerings = ArrayField(models.CharField(max_length=64), default=list)
    plans = ArrayField(models.CharField(max_length=64), default=list)
    contracts = ArrayField(models.CharField(max_length=64), default=list)
    is_active = models.BooleanField(default=True)
    started_at = models.DateTimeField()
    boundaries = ArrayField(models.DateTimeField(), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "subscription"], name="holding_subscription")
        ]
        indexes = [models.Index(fields=["tenant", "customer"], name="holding_customer")]

    def __str__(self) -> str:
        return self.subscription

    def holding(self) -> resolution.Holding:
        """The row's value."""
        return resolution.Holding(
            subscription=self.subscription,
            offerings=tuple(self.offerings),
            plans=tuple(self.plans),
            contracts=tuple(self.contracts),
            is_active=self.is_active,
            started_at=self.started_at,
            boundaries=tuple(self.boundaries),
        )
