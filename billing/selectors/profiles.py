"""The tenant's billing profile."""

from __future__ import annotations

from aforo.tenancy.models import Tenant

from ..models import BillingProfile


def billing_profile_for(tenant: Tenant) -> BillingProfile:
    """What was set, or else the defaults, unsaved: the tenant's own name, half up, INV."""
    profile = BillingProfile.objects.of(tenant).first()
    return profile or BillingProfile(tenant=tenant, legal_name=tenant.name)
