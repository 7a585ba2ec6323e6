"""Grants: units beside a customer's limit, with what is left of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.views import ChangeList

from aforo.kernel.clock import now
from aforo.kernel.decimals import trimmed
from aforo.tenancy.admin.buttons import button
from aforo.tenancy.admin.filters import CustomerFilter
from aforo.tenancy.admin.rows import OwnRelatedFilter
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import Grant
from ..selectors.balances import grant_balances_of, grant_history_of
from ..selectors.features import in_state
from ..services.grants import grant_create, grant_revoke
from .base import ActorAdmin


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return Grant.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(in_state(self.value(), now())) if self.value() else queryset


class BalanceList(ChangeList):
    """The page's grants, each with what is left of it, which is asked for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        if self.result_list:
            for one in grant_balances_of(tenant_of_request(request), self.result_list, now()):
                one.grant.balance = one.balance


@admin.register(Grant)
class GrantAdmin(ActorAdmin):
    list_display = (
        "customer",
        "feature",
        "units",
        "left",
        "recurs",
        "priority",
        "effective_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = (
        CustomerFilter,
        ("feature", OwnRelatedFilter),
        StateFilter,
        ("recurrence", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    list_select_related = ("customer", "feature__meter")
    search_fields = ("customer__external_id", "feature__code", "reason")
    add_fieldsets = (
        (None, {"fields": (("customer", "feature"), ("amount", "priority"), "reason")}),
        ("In force", {"fields": ("effective_at", "expires_at")}),
        ("Recurs", {"fields": (("recurrence", "recurrence_count"),)}),
        ("Rolls over", {"fields": (("max_rollover", "min_rollover"),)}),
    )
    fieldsets = (*add_fieldsets, ("Burnt down", {"fields": (("left", "next_fill"), "taken", "revoked_at")}))
    readonly_fields = ("left", "next_fill", "taken", "revoked_at")
    own_name = "amount"
    actions_detail = ("revoke",)
    empty_state = "A grant gives a customer units beside its limit, such as 500 searches for goodwill."

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return BalanceList

    def get_fieldsets(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # What recurs on the hour is cheaper to reckon.
        return {"effective_at": now().replace(minute=0, second=0, microsecond=0)}

    @display(description="Units", ordering="amount")
    def units(self, grant: Grant) -> str:
        return f"{trimmed(grant.amount)} {grant.feature.unit}"

    @display(description="Recurs", ordering="recurrence")
    def recurs(self, grant: Grant) -> str:
        if not grant.recurrence:
            return "once"
        count = grant.recurrence_count
        return f"every {grant.recurrence}" if count == 1 else f"every {count} {grant.recurrence}s"

    @display(description="Left")
    def left(self, grant: Grant) -> str:
        balance = getattr(grant, "balance", None)
        if balance is None:
            (one,) = grant_balances_of(grant.tenant, [grant], now())
            balance = one.balance
        return trimmed(balance)

    @display(description="Begins or recurs next")
    def next_fill(self, grant: Grant) -> datetime | None:
        return grant.grant(grant.customer.zone).next_fill_at(now())

    @display(description="Taken by windows")
    def taken(self, grant: Grant) -> str:
        zone = grant.customer.zone
        return "; ".join(
            f"{trimmed(one.taken)} from {one.window.start.astimezone(zone):%Y-%m-%d %H:%M}"
            for one in grant_history_of(grant.tenant, grant, now()).history
        )

    def create(self, tenant: Tenant, *, customer: Any, feature: Any, **fields: Any) -> Grant:
        return grant_create(
            tenant=tenant,
            actor=self.actor,
            customer=customer.external_id,
            feature=feature.code,
            **fields,
        )

    @button(
        "Revoke",
        icon="undo",
        says="Takes back what is left of the grant.",
        offered=lambda grant: grant.revoked_at is None,
    )
    def revoke(self, request: HttpRequest, grant: Grant) -> str:
        grant_revoke(tenant=tenant_of_request(request), actor=request.user.get_username(), grant_id=grant.pk)
        return "What was left of the grant is taken back."
