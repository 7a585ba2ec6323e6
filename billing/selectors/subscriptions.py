"""The doors to subscriptions; each asks for the tenant."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import Subscription


def subscriptions_for(tenant: Tenant) -> QuerySet[Subscription]:
    """With customer, offering and plan version."""
    return Subscription.objects.of(tenant).select_related("customer", "offering", "plan_version__plan")


def subscription_for(tenant: Tenant, code: str) -> Subscription:
    """Raises Problem not_found."""
    return found(subscriptions_for(tenant), code=code)


def billed_subscription_for(tenant: Tenant, **by: object) -> Subscription:
    """With all that a bill is made of. by: code=… or pk=…. Raises Problem not_found."""
    return found(subscriptions_for(tenant).select_related("customer__parent", "tenant"), **by)
