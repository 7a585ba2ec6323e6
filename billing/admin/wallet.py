"""Wallets: prepaid money of a customer, put in by grants."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from aforo.kernel.clock import now
from aforo.kernel.periods import local_midnight
from aforo.tenancy.admin.buttons import Ask, button
from aforo.tenancy.admin.decimals import PlainDecimal
from aforo.tenancy.admin.filters import CustomerFilter
from aforo.tenancy.admin.rows import RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Customer, Tenant

from ..models import Wallet, WalletGrant
from ..selectors.wallets import grants_for, wallet_balance_at
from ..services.wallets import wallet_grant_add, wallet_open
from .base import money


class Grant(Ask):
    amount = PlainDecimal(max_digits=28, decimal_places=4)
    kind = forms.ChoiceField(
        choices=WalletGrant.Kind.choices, initial=WalletGrant.Kind.CASH, widget=UnfoldAdminSelectWidget
    )
    expires_on = forms.DateField(
        required=False,
        label="First day without it",
        help_text="In the customer's zone; empty: it does not expire.",
        widget=UnfoldAdminSingleDateWidget,
    )


class GrantInline(RowInline):
    model = WalletGrant
    verbose_name_plural = "Grants"
    fields = readonly_fields = ("kind", "granted", "left", "starts_at", "expires_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        tenant = tenant_of_request(request)
        return (
            grants_for(tenant, at=now()).select_related("wallet") if tenant else super().get_queryset(request)
        )

    @display(description="Granted")
    def granted(self, grant: WalletGrant) -> str:
        return money(grant.amount, grant.wallet.currency)

    @display(description="Not burned yet")
    def left(self, grant: WalletGrant) -> str:
        return money(grant.left, grant.wallet.currency)


@admin.register(Wallet)
class WalletAdmin(TenantAdmin):
    own_name = "customer"
    list_display = ("customer", "currency", "balance")
    list_select_related = ("customer", "tenant")
    # A balance is two queries.
    list_per_page = 25
    list_filter = (CustomerFilter,)
    list_filter_submit = True
    search_fields = ("customer__external_id", "customer__name")
    autocomplete_fields = ("customer",)
    add_fieldsets = ((None, {"fields": ("customer", "currency")}),)
    fieldsets = ((None, {"fields": ("customer", ("currency", "balance"))}),)
    readonly_fields = ("balance",)
    inlines = (GrantInline,)
    actions_detail = ("grant",)
    empty_state = "A wallet holds prepaid money; prepaid and hybrid offerings take from it first."

    @display(description="Balance now")
    def balance(self, wallet: Wallet) -> str:
        return money(wallet_balance_at(wallet, now()).balance, wallet.currency)

    def create(self, tenant: Tenant, *, customer: Customer, currency: str) -> Wallet:
        return wallet_open(tenant=tenant, customer=customer.external_id, currency=currency)

    @button(
        "Grant",
        icon="add_card",
        ask=Grant,
        says="Puts money in and books it. Promotional money is spent first, then bonus, then what was paid in.",
    )
    def grant(
        self, request: HttpRequest, wallet: Wallet, amount: Decimal, kind: str, expires_on: date | None
    ) -> str:
        customer = wallet.customer
        wallet_grant_add(
            tenant=tenant_of_request(request),
            customer=customer.external_id,
            currency=wallet.currency,
            amount=amount,
            kind=kind,
            expires_at=local_midnight(expires_on, customer.zone) if expires_on else None,
        )
        return f"{money(amount, wallet.currency)} are in the wallet."
