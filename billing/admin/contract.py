"""Contracts: negotiated terms over a subscription, with the rows that they are made of; made once, renewed or terminated."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSingleDateWidget

from aforo.tenancy.admin.buttons import Ask, button, link
from aforo.tenancy.admin.rows import RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import (
    Contract,
    ContractCommitment,
    ContractDiscount,
    ContractPrice,
    ContractRenewal,
    ContractTrial,
    Subscription,
)
from ..selectors.contracts import undercuts
from ..services.contracts import contract_create, contract_terminate
from .base import money, number
from .subscription import preview_page


class TermInline(RowInline):
    """Rows that are filled in together with a new contract, and only shown on one that is made."""

    def has_add_permission(self, request: HttpRequest, obj: Contract | None = None) -> bool:
        return obj is None and request.user.has_perm("billing.add_contract")


class CommitmentInline(TermInline):
    model = ContractCommitment
    verbose_name = "commitment"
    verbose_name_plural = "Commitments: of a product, of a meter, or of the whole contract"
    fields = ("kind", "product", "meter", "amount", "period", "true_up")


class DiscountInline(TermInline):
    model = ContractDiscount
    verbose_name = "discount"
    verbose_name_plural = "Discounts: off a product, a meter or all, once the threshold is reached"
    fields = ("percent", "product", "meter", "threshold", "threshold_meter")


class PriceInline(TermInline):
    model = ContractPrice
    verbose_name = "price"
    verbose_name_plural = "Prices: other terms of a charge"
    fields = ("charge", "model", "terms")


class TrialInline(TermInline):
    model = ContractTrial
    verbose_name = "trial"
    verbose_name_plural = "Trials: days of a product that are not billed"
    fields = ("product", "days")


class RenewalInline(RowInline):
    model = ContractRenewal
    verbose_name_plural = "Renewals"
    fields = readonly_fields = ("starts_on", "ends_on", "renewed_at")


_TERMS = (CommitmentInline, DiscountInline, PriceInline, TrialInline)


class Termination(Ask):
    ends_on = forms.DateField(
        required=False,
        label="First day without it",
        help_text="Of an open contract; empty: the end of its term.",
        widget=UnfoldAdminSingleDateWidget,
    )


@admin.register(Contract)
class ContractAdmin(TenantAdmin):
    list_display = ("code", "subscription", "starts_on", "ends_on", "minimum", "maximum", "discount")
    list_select_related = ("subscription__customer",)
    search_fields = ("code", "subscription__code", "subscription__customer__external_id")
    autocomplete_fields = ("subscription",)
    add_fieldsets = (
        (None, {"fields": ("code", "subscription", ("starts_on", "ends_on"))}),
        (
            "Terms",
            {"fields": (("minimum_amount", "maximum_amount"), ("discount_percent", "payment_terms_days"))},
        ),
        ("Renewal", {"fields": (("renewal_months", "notice_days"),)}),
    )
    fieldsets = (
        *add_fieldsets[:-1],
        ("Renewal", {"fields": (("renewal_months", "notice_days"), "terminated_at")}),
        ("To know", {"fields": ("warnings",)}),
    )
    readonly_fields = ("terminated_at", "warnings")
    add_inlines = _TERMS
    inlines = (*_TERMS, RenewalInline)
    actions_detail = ("preview", "terminate")
    empty_state = "A contract holds what was negotiated over a subscription: commitments, prices, discounts, trials, terms."

    @display(description="Minimum", ordering="minimum_amount")
    def minimum(self, contract: Contract) -> str:
        return money(contract.minimum_amount, contract.currency)

    @display(description="Maximum", ordering="maximum_amount")
    def maximum(self, contract: Contract) -> str:
        return money(contract.maximum_amount, contract.currency)

    @display(description="Discount")
    def discount(self, contract: Contract) -> str:
        return f"{number(contract.discount_percent)} %" if contract.discount_percent else "–"

    @display(description="Warnings")
    def warnings(self, contract: Contract) -> str:
        said = ((sentence,) for sentence in undercuts(contract))
        return format_html_join(mark_safe("<br>"), "{}", said) or "–"

    def create(self, tenant: Tenant, *, subscription: Subscription, **fields: Any) -> Contract:
        rows = {
            name: [_by_name(row) for row in fields.pop(name, ())]
            for name in ("commitments", "discounts", "prices", "trials")
        }
        return contract_create(tenant=tenant, subscription=subscription.code, **rows, **fields)

    def response_add(self, request: HttpRequest, obj: Contract, *args: Any, **kwargs: Any) -> HttpResponse:
        for sentence in undercuts(obj):
            messages.warning(request, sentence)
        return super().response_add(request, obj, *args, **kwargs)

    @link("Preview invoice", icon="preview")
    def preview(self, request: HttpRequest, contract: Contract) -> HttpResponse:
        return preview_page(request, contract.subscription, shown_on=contract)

    @button(
        "Terminate",
        icon="cancel",
        ask=Termination,
        offered=lambda contract: contract.terminated_at is None,
        variant=ActionVariant.DANGER,
        says="It ends with its term, and is not renewed any more.",
    )
    def terminate(self, request: HttpRequest, contract: Contract, ends_on: date | None) -> str:
        done = contract_terminate(tenant=tenant_of_request(request), code=contract.code, ends_on=ends_on)
        return f"The contract ends on {done.ends_on}."


_NAMES = {"product": "code", "meter": "key", "threshold_meter": "key"}


def _by_name(row: dict[str, Any]) -> dict[str, Any]:
    """A form's row as the service takes it: products and meters by their names."""
    return {
        name: getattr(value, _NAMES[name]) if name in _NAMES and value is not None else value
        for name, value in row.items()
    }
