"""Features: what customers may use, on or off, with a value, or metered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from aforo.tenancy.admin.rows import RowForm
from aforo.tenancy.models import Tenant

from ..models import Feature
from ..services.features import feature_create, feature_edit
from .base import ActorAdmin

# What only a metered feature has.
_METERED: dict[str, Any] = {"meter": None, "decimal_places": 0}


class FeatureForm(RowForm):
    def clean(self) -> dict[str, Any]:
        sent = self.cleaned_data
        if sent.get("kind", self.instance.kind) != Feature.Kind.METERED:
            # Of another kind, and taken as left out.
            for name in _METERED.keys() & self.fields.keys():
                self._errors.pop(name, None)
                sent[name] = _METERED[name]
        return super().clean()


@admin.register(Feature)
class FeatureAdmin(ActorAdmin):
    form = FeatureForm
    list_display = ("code", "name", "kind", "meter", "unit", "is_archived")
    list_filter = (("kind", ChoicesDropdownFilter), "is_archived")
    list_filter_submit = True
    search_fields = ("code", "name")
    fieldsets = (
        (None, {"fields": (("code", "name"), "description", ("kind", "is_archived"))}),
        ("Usage", {"fields": ("meter", ("unit", "decimal_places"))}),
    )
    # All at once: once made, the kind is no field any more that a condition could ask.
    fixed_fields = ("code", "kind", "decimal_places")
    empty_state = (
        "A feature is what canAccess is asked about. Make one, then give it to a plan under Entitlements."
    )

    def create(self, tenant: Tenant, *, meter: Any, **fields: Any) -> Feature:
        return feature_create(tenant=tenant, actor=self.actor, meter=meter and meter.key, **fields)

    def update(self, tenant: Tenant, row: Feature, **changes: Any) -> Feature:
        return feature_edit(tenant=tenant, actor=self.actor, code=row.code, **changes)
