"""Coupons: made here, attached on a subscription's page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from aforo.tenancy.admin.rows import RowForm, RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import Coupon, CouponRedemption
from ..services.coupons import coupon_create
from .base import money, number, without

# What each choice makes of the fields that hang on it.
_KIND_FIELDS = {"percent": "PERCENTAGE", "amount": "FIXED_AMOUNT", "currency": "FIXED_AMOUNT"}


def _unknown(kind: str, duration: str) -> set[str]:
    """The fields that a coupon of this kind and duration does not have."""
    unknown = {name for name, of in _KIND_FIELDS.items() if of != kind}
    return unknown if duration == Coupon.Duration.REPEATING else unknown | {"duration_periods"}


class CouponForm(RowForm):
    """What the chosen kind and duration do not have is hidden, and taken as left out."""

    def clean(self) -> dict[str, Any]:
        sent = self.cleaned_data
        # A currency stands in every row, and counts where there is an amount.
        for name in _unknown(sent.get("kind", ""), sent.get("duration", "")) - {"currency"}:
            self._errors.pop(name, None)
            sent[name] = None
        return super().clean()


class RedemptionInline(RowInline):
    model = CouponRedemption
    verbose_name_plural = "Attached to"
    fields = readonly_fields = ("subscription", "redeemed_at")


@admin.register(Coupon)
class CouponAdmin(TenantAdmin):
    form = CouponForm
    list_display = ("code", "name", "value", "lasts", "redeemed")
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("code", "name")
    fieldsets = (
        (None, {"fields": (("code", "name"),)}),
        ("Value", {"fields": ("kind", "percent", ("amount", "currency"))}),
        ("Lasts", {"fields": (("duration", "duration_periods"),)}),
        ("Limits", {"fields": (("redemptions_max", "redemptions_max_per_customer"),)}),
    )
    conditional_fields = {
        **{name: f"kind == '{kind}'" for name, kind in _KIND_FIELDS.items()},
        "duration_periods": "duration == 'REPEATING'",
    }
    inlines = (RedemptionInline,)
    empty_state = "A coupon takes a percentage or an amount off a subscription's invoices."

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        own = {"currency": tenant.currency, "kind": "PERCENTAGE"} if tenant else {}
        return {**own, **super().get_changeform_initial_data(request)}

    def get_fieldsets(self, request: HttpRequest, obj: Coupon | None = None) -> Any:
        return self.fieldsets if obj is None else without(self.fieldsets, _unknown(obj.kind, obj.duration))

    @display(description="Value")
    def value(self, coupon: Coupon) -> str:
        if coupon.kind == Coupon.Kind.PERCENTAGE:
            return f"{number(coupon.percent)} %"
        return money(coupon.amount, coupon.currency)

    @display(description="Lasts")
    def lasts(self, coupon: Coupon) -> str:
        if coupon.duration == Coupon.Duration.REPEATING:
            return f"{coupon.duration_periods} periods"
        return coupon.get_duration_display()

    @display(description="Redeemed", ordering="redemption_count")
    def redeemed(self, coupon: Coupon) -> str:
        limit = f" of {coupon.redemptions_max:,}" if coupon.redemptions_max is not None else ""
        return f"{coupon.redemption_count:,}{limit}"

    def create(self, tenant: Tenant, **fields: Any) -> Coupon:
        return coupon_create(tenant=tenant, **fields)
