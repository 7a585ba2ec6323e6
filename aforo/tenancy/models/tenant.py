"""Tenant: one environment, live or test, of one API provider."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.core.validators import RegexValidator
from django.db import models

from aforo.kernel.clock import now

from .fields import CurrencyField, ZoneField


class Environment(models.TextChoices):
    LIVE = "live", "Live"
    TEST = "test", "Test"


class Tenant(models.Model):
    """The pair (slug, environment) that every other row belongs to.

    A provider has two rows, live and test, made together and sharing the slug; nothing else is shared, so a
    foreign key to Tenant isolates environments as well as providers.
    """

    id = models.AutoField(primary_key=True)
    slug = models.CharField(
        max_length=63,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use lower-case letters, digits, - and _.")],
        help_text="The name in X-Tenant-Id and in addresses, such as acme_corp.",
    )
    environment = models.CharField(max_length=4, choices=Environment.choices)
    name = models.CharField(max_length=200)
    timezone = ZoneField(default="UTC", help_text="Cuts reports and the periods of customers without a zone.")
    currency = CurrencyField(default="USD")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slug", "environment"], name="tenant_slug_environment")
        ]
        ordering = ["slug", "environment"]

    def __str__(self) -> str:
        return f"{self.slug} ({self.environment})"

    @property
    def path(self) -> str:
        """acme_corp/live: both names as one, where a tenant is named without its row."""
        return f"{self.slug}/{self.environment}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def path_parts(path: str) -> tuple[str, str]:
    """Slug and environment of a tenant's path."""
    slug, _, environment = path.rpartition("/")
    return slug, environment
