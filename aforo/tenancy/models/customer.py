"""Customer: the party a tenant bills."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.db import models

from aforo.kernel.clock import now

from .base import TenantRow
from .fields import CurrencyField, ZoneField


class Customer(TenantRow):
    """Named by the tenant's own external_id, which usage events carry as customer_id.

    The id is a number and not a UUID because every bucket and usage context names it.
    """

    external_id = models.CharField(max_length=255, help_text="The tenant's own identifier, such as cust_abc.")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    currency = CurrencyField(default="USD")
    timezone = ZoneField(default="UTC", help_text="Billing periods are cut at midnight in this zone.")
    tax_jurisdiction = models.CharField(
        max_length=32, blank=True, help_text="Key of the tax table, such as US-NY or DE; empty: no tax."
    )
    is_tax_exempt = models.BooleanField(default=False)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "external_id"], name="customer_external_id")]
        ordering = ["external_id"]

    def __str__(self) -> str:
        return f"{self.external_id} · {self.name}" if self.name else self.external_id

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
