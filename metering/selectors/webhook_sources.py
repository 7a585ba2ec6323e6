"""The doors to webhook sources; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import WebhookSource


def webhook_sources_for(tenant: Tenant) -> QuerySet[WebhookSource]:
    return WebhookSource.objects.of(tenant)


def webhook_source_for(tenant: Tenant, source_id: UUID) -> WebhookSource:
    """Raises Problem not_found."""
    return found(webhook_sources_for(tenant), pk=source_id)
