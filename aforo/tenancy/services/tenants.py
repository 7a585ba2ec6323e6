"""Making tenants."""

from __future__ import annotations

from django.db import transaction

from ..models import Environment, Tenant


@transaction.atomic
def tenant_create(*, slug: str, name: str, timezone: str = "UTC", currency: str = "USD") -> Tenant:
    """Make a provider's two tenants, live and test, and return the live one; once made, return what is there."""
    for environment in Environment.values:
        Tenant.objects.get_or_create(
            slug=slug,
            environment=environment,
            defaults={"name": name, "timezone": timezone, "currency": currency},
        )
    return Tenant.objects.get(slug=slug, environment=Environment.LIVE)
