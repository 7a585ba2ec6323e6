"""The tenant's metering profile."""

from __future__ import annotations

from aforo.tenancy.models import Tenant

from ..models import MeteringProfile


def metering_profile_for(tenant: Tenant) -> MeteringProfile:
    """What was set, or else the defaults, unsaved: nothing is held, 100 letters an hour and 5 percent are an alarm."""
    return MeteringProfile.objects.of(tenant).first() or MeteringProfile(tenant=tenant)
