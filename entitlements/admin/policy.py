"""The edge policy: what gateways do where they do not know."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from aforo.tenancy.admin.profile import ProfileAdmin
from aforo.tenancy.models import Tenant

from ..models import EdgePolicy
from ..services.features import edge_policy_set
from .base import ActorAdmin


@admin.register(EdgePolicy)
class EdgePolicyAdmin(ActorAdmin, ProfileAdmin):
    fieldsets = ((None, {"fields": ("on_unknown", "max_stale_s")}),)

    def create(self, tenant: Tenant, **fields: Any) -> EdgePolicy:
        return edge_policy_set(tenant=tenant, actor=self.actor, **fields)

    def update(self, tenant: Tenant, row: EdgePolicy, **changes: Any) -> EdgePolicy:
        return edge_policy_set(tenant=tenant, actor=self.actor, **changes)
