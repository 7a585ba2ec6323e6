"""Contracts: negotiated terms over a subscription."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from aforo.tenancy.models import Tenant

from ..models import Contract, Subscription
from ..services.contracts import contract_create
from .base import BillingAdmin, money, number


@admin.register(Contract)
class ContractAdmin(BillingAdmin):
    list_display = ("code", "subscription", "starts_on", "ends_on", "minimum", "maximum", "discount")
    list_select_related = ("subscription__customer",)
    search_fields = ("code", "subscription__code", "subscription__customer__external_id")
    autocomplete_fields = ("subscription",)
    fieldsets = (
        (None, {"fields": ("code", "subscription", ("starts_on", "ends_on"))}),
        (
            "Terms",
            {"fields": (("minimum_amount", "maximum_amount"), ("discount_percent", "payment_terms_days"))},
        ),
    )
    empty_state = (
        "A contract holds what was negotiated over a subscription: minimum, maximum, discount, terms."
    )

    @display(description="Minimum", ordering="minimum_amount")
    def minimum(self, contract: Contract) -> str:
        return money(contract.minimum_amount, contract.currency)

    @display(description="Maximum", ordering="maximum_amount")
    def maximum(self, contract: Contract) -> str:
        return money(contract.maximum_amount, contract.currency)

    @display(description="Discount")
    def discount(self, contract: Contract) -> str:
        return f"{number(contract.discount_percent)} %" if contract.discount_percent else "–"

    def create(self, tenant: Tenant, *, subscription: Subscription, **fields: Any) -> Contract:
        return contract_create(tenant=tenant, subscription=subscription.code, **fields)
