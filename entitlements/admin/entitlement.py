"""Entitlements: which layer gives a feature to whom, and how much of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelect2Widget

from aforo.kernel.decimals import trimmed
from aforo.tenancy.admin.buttons import button, go_to
from aforo.tenancy.admin.rows import OwnRelatedFilter, RowChoice, RowForm
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Customer, Tenant

from ..models import Entitlement
from ..ports import entitlement_owners
from ..resolution import LAYERS
from ..services.entitlements import entitlement_create, entitlement_edit, entitlement_remove
from .base import ActorAdmin

_CUSTOMER = Entitlement.Layer.CUSTOMER
_WINDOWS: dict[str, tuple[set[str], Any]] = {
    "window_unit": ({"CALENDAR"}, ""),
    "window_s": ({"FIXED", "SLIDING"}, None),
}


class EntitlementForm(RowForm):
    """The owner is chosen from the plans, offerings and contracts there are, or from the customers."""

    customer = RowChoice(
        Customer.objects.none(),
        required=False,
        widget=UnfoldAdminSelect2Widget,
        help_text="Of the layer Customer.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.tenant is not None:
            self.fields["customer"].queryset = Customer.objects.of(self.tenant)

    def clean(self) -> dict[str, Any]:
        sent = self.cleaned_data
        customer = sent.get("customer")
        if sent.get("layer") == _CUSTOMER:
            self._errors.pop("owner", None)
            sent["owner"] = customer.external_id if customer else ""
        for name, (kinds, nothing) in _WINDOWS.items():
            if name in self.fields and sent.get("window") not in kinds:
                # Of another window, and taken as left out.
                self._errors.pop(name, None)
                sent[name] = nothing
        return super().clean()


@admin.register(Entitlement)
class EntitlementAdmin(ActorAdmin):
    form = EntitlementForm
    list_display = ("feature", "layer", "owner", "gives", "window", "starts_at", "ends_at")
    list_filter = (("feature", OwnRelatedFilter), ("layer", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("owner", "feature__code")
    fieldsets = (
        (None, {"fields": ("feature", ("layer", "owner"))}),
        ("Gives", {"fields": ("is_granted", ("limit", "limit_type"), "value")}),
        ("Window", {"fields": ("window", ("window_unit", "window_s"))}),
        ("In force", {"fields": ("starts_at", "ends_at")}),
    )
    # All at once: under conditions, a field named window would stand over the browser's own.
    add_fieldsets = ((None, {"fields": ("feature", "layer", ("owner", "customer"))}), *fieldsets[1:])
    own_name = "owner"
    fixed_fields = ("feature", "layer", "owner")
    actions_detail = ("remove",)
    empty_state = "An entitlement gives a feature to a plan, an offering, a contract or one customer; the last decides first."

    def get_fieldsets(self, request: HttpRequest, obj: Entitlement | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "owner":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        tenant = tenant_of_request(request)
        offered = [
            (
                layer.label,
                [(code, f"{code} · {name}") for code, name in entitlement_owners().codes(tenant, key)],
            )
            for key in LAYERS
            if tenant is not None and (layer := Entitlement.Layer(key)) != _CUSTOMER
        ]
        choices = [("", "–"), *offered]
        return forms.ChoiceField(
            choices=choices, required=False, widget=UnfoldAdminSelect2Widget(choices=choices)
        )

    @display(description="Gives", ordering="limit")
    def gives(self, row: Entitlement) -> str:
        if not row.is_granted:
            return "nothing"
        if row.feature.kind != row.feature.Kind.METERED:
            return row.value or "on"
        if row.limit is None:
            return "no limit"
        return f"{trimmed(row.limit)} {row.feature.unit}, {row.limit_type.lower()}"

    def create(self, tenant: Tenant, *, feature: Any, customer: Any = None, **fields: Any) -> Entitlement:
        return entitlement_create(tenant=tenant, actor=self.actor, feature=feature.code, **fields)

    def update(self, tenant: Tenant, row: Entitlement, **changes: Any) -> Entitlement:
        return entitlement_edit(tenant=tenant, actor=self.actor, entitlement_id=row.pk, **changes)

    @button(
        "Remove", icon="delete", says="Removes the entitlement at once, so that a lower layer decides again."
    )
    def remove(self, request: HttpRequest, row: Entitlement) -> HttpResponse:
        entitlement_remove(
            tenant=tenant_of_request(request), actor=request.user.get_username(), entitlement_id=row.pk
        )
        return go_to(reverse("admin:entitlements_entitlement_changelist"))
