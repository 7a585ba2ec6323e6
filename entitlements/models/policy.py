"""Edge policy: what a tenant's sites do where they do not know."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from aforo.tenancy.models import TenantRow


class EdgePolicy(TenantRow):
    class OnUnknown(models.TextChoices):
        ALLOW = "allow", "Allow"
        DENY = "deny", "Deny"

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    on_unknown = models.CharField(
        max_length=5,
        choices=OnUnknown.choices,
        default=OnUnknown.ALLOW,
        help_text="Decides while a site has no records, or has heard nothing for longer than allowed.",
    )
    max_stale_s = models.PositiveIntegerField(
        default=86_400,
        validators=[MinValueValidator(10)],
        help_text="Seconds for which a site that hears nothing goes on by what it knows.",
    )

    def __str__(self) -> str:
        return f"{self.on_unknown}, {self.max_stale_s} s"
