"""Meters: what turns events into quantities."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.models import Tenant

from ..models import MeterRow
from ..services.meters import meter_create, meter_update


@admin.register(MeterRow)
class MeterAdmin(TenantAdmin):
    own_name = "key"
    fixed_fields = ("key",)
    list_display = ("key", "name", "aggregation", "value", "unit", "dimensions", "frozen_at")
    list_filter = (("aggregation", ChoicesDropdownFilter),)
    search_fields = ("key", "name", "event_name")
    fieldsets = (
        (None, {"fields": (("key", "name"), "event_name")}),
        (
            "Quantity",
            {
                "fields": (
                    ("aggregation", "percentile"),
                    "value_property",
                    ("unit", "allows_negative"),
                    "conversion",
                )
            },
        ),
        ("Which events, and by what", {"fields": ("filters", "group_by")}),
    )
    empty_state = (
        "A meter turns events into a quantity: calls, tokens, bytes. Events name it as their metric."
    )

    def get_readonly_fields(self, request: HttpRequest, obj: MeterRow | None = None) -> tuple[str, ...]:
        frozen = MeterRow.FROZEN_ONCE_PRICED if obj is not None and obj.frozen_at else ()
        return (*super().get_readonly_fields(request, obj), *frozen)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "group_by":
            kwargs["widget"] = UnfoldAdminTextInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description="Value")
    def value(self, meter: MeterRow) -> str:
        return "–" if meter.aggregation == MeterRow.Aggregation.COUNT else meter.value_property

    @display(description="Dimensions")
    def dimensions(self, meter: MeterRow) -> str:
        return ", ".join(meter.group_by)

    def create(self, tenant: Tenant, **fields: Any) -> MeterRow:
        return meter_create(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: MeterRow, **changes: Any) -> MeterRow:
        return meter_update(tenant=tenant, key=row.key, **changes)
