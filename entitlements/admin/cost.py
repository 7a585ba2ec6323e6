"""What use costs the tenant: rates of units, and figures imported from somebody else's bill."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from unfold.contrib.filters.admin import FieldTextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSplitDateTimeWidget

from aforo.kernel.decimals import trimmed
from aforo.tenancy.admin.buttons import Ask, button
from aforo.tenancy.admin.rows import OwnRelatedFilter, RowForm
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid

from ..models import CostRate, ImportedCost
from ..selectors.margin import imported_costs_for
from ..services.margins import cost_rate_create, cost_rate_end, cost_rows, costs_import
from .base import ActorAdmin


class End(Ask):
    ends_at = forms.SplitDateTimeField(
        label="Hour from which it does not count", widget=UnfoldAdminSplitDateTimeWidget
    )


@admin.register(CostRate)
class CostRateAdmin(ActorAdmin):
    list_display = ("meter", "named", "cost", "starts_at", "ends_at")
    list_filter = (("meter", OwnRelatedFilter),)
    list_filter_submit = True
    search_fields = ("meter__key",)
    fieldsets = (
        (None, {"fields": (("meter", "dimensions"), ("unit_cost", "currency"))}),
        ("In force", {"fields": (("starts_at", "ends_at"),)}),
    )
    own_name = "starts_at"
    actions_detail = ("end",)
    empty_state = "A rate says what a unit of a meter costs you, such as a token of one model. Without any, use costs nothing."

    @display(description="Usage with")
    def named(self, rate: CostRate) -> str:
        return ", ".join(f"{name} {value}" for name, value in sorted(rate.dimensions.items())) or "any"

    @display(description="One unit", ordering="unit_cost")
    def cost(self, rate: CostRate) -> str:
        return f"{trimmed(rate.unit_cost)} {rate.currency}"

    def create(self, tenant: Tenant, *, meter: Any, **fields: Any) -> CostRate:
        return cost_rate_create(tenant=tenant, actor=self.actor, meter=meter.key, **fields)

    @button("End", icon="event_busy", ask=End, says="Ends the rate, so that another can follow.")
    def end(self, request: HttpRequest, rate: CostRate, ends_at: datetime) -> str:
        cost_rate_end(
            tenant=tenant_of_request(request),
            actor=request.user.get_username(),
            rate_id=rate.pk,
            ends_at=ends_at,
        )
        return f"{rate} ends at {ends_at:%Y-%m-%d %H:%M}."


class CostFileForm(RowForm):
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV with the columns customer, on, amount, currency, source, external_key. All of it is taken, or none.",
    )


@admin.register(ImportedCost)
class ImportedCostAdmin(ActorAdmin):
    form = CostFileForm
    list_display = ("on", "customer", "figure", "source", "external_key")
    list_filter = (("customer", OwnRelatedFilter), ("source", FieldTextFilter))
    list_filter_submit = True
    search_fields = ("external_key", "customer__external_id")
    add_fieldsets = ((None, {"fields": ("file",)}),)
    fieldsets = (
        (None, {"fields": (("customer", "on"), ("amount", "currency"), ("source", "external_key"))}),
    )
    own_name = "file"
    empty_state = (
        "Costs by somebody else's bill, by customer and day: a model provider's, a cloud's. Add a CSV file."
    )

    def get_fieldsets(self, request: HttpRequest, obj: ImportedCost | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    @display(description="Amount", ordering="amount")
    def figure(self, cost: ImportedCost) -> str:
        return f"{trimmed(cost.amount)} {cost.currency}"

    def create(self, tenant: Tenant, *, file: UploadedFile) -> ImportedCost:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise invalid("file", "is no text in UTF-8.") from None
        rows = cost_rows(csv.DictReader(text.splitlines()))
        if not rows:
            raise invalid("file", "has no lines below its header.")
        costs_import(tenant=tenant, actor=self.actor, rows=rows)
        last = rows[-1]
        return imported_costs_for(tenant).get(source=last["source"], external_key=last["external_key"])
