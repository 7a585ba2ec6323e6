"""The metering profile: what is held, and what is an alarm."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from aforo.tenancy.admin.profile import ProfileAdmin
from aforo.tenancy.models import Tenant

from ..models import MeteringProfile
from ..services.profiles import metering_profile_set


@admin.register(MeteringProfile)
class MeteringProfileAdmin(ProfileAdmin):
    fieldsets = (
        (
            "Events that name something unknown",
            {"fields": ("holds_unknown_metrics", "holds_unknown_customers")},
        ),
        ("Alarm when dead letters grow", {"fields": (("alert_letters_min", "alert_share_percent"),)}),
    )

    def create(self, tenant: Tenant, **fields: Any) -> MeteringProfile:
        return metering_profile_set(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: MeteringProfile, **changes: Any) -> MeteringProfile:
        return metering_profile_set(tenant=tenant, **changes)
