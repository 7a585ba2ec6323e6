"""The doors to the margin guard's rows; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given, listed

from ..margin import MarginStanding
from ..models import CostRate, ImportedCost, MarginEvent, MarginPolicy, MarginState


def margin_standing(tenant: Tenant, customer_ids: Collection[int]) -> dict[int, MarginStanding]:
    """What the edge does about each customer's margin, by its row; of one that is well there is nothing."""
    rows = MarginState.objects.of(tenant).filter(customer__in=listed(customer_ids), level__gt=0)
    return {row.customer_id: row.standing() for row in rows}


def margin_policies_for(
    tenant: Tenant, *, scope: str | None = None, is_active: bool | None = None
) -> QuerySet[MarginPolicy]:
    return MarginPolicy.objects.of(tenant).filter(**given(scope=scope, is_active=is_active))


def margin_policy_for(tenant: Tenant, code: str) -> MarginPolicy:
    """Raises Problem not_found."""
    return found(margin_policies_for(tenant), code=code)


def cost_rates_for(tenant: Tenant, *, meter: str | None = None) -> QuerySet[CostRate]:
    """With their meters. meter: its key."""
    return CostRate.objects.of(tenant).select_related("meter").filter(**given(meter__key=meter))


def cost_rate_for(tenant: Tenant, rate_id: UUID) -> CostRate:
    """Raises Problem not_found."""
    return found(cost_rates_for(tenant), pk=rate_id)


def imported_costs_for(
    tenant: Tenant,
    *,
    customer: str | None = None,
    source: str | None = None,
    first_on: date | None = None,
    last_on: date | None = None,
) -> QuerySet[ImportedCost]:
    """With their customers. customer: external_id."""
    return (
        ImportedCost.objects.of(tenant)
        .select_related("customer")
        .filter(**given(customer__external_id=customer, source=source, on__gte=first_on, on__lte=last_on))
    )


def imported_cost_for(tenant: Tenant, cost_id: UUID) -> ImportedCost:
    """Raises Problem not_found."""
    return found(imported_costs_for(tenant), pk=cost_id)


def margins_for(
    tenant: Tenant, *, customer: str | None = None, level: int | None = None, policy: str | None = None
) -> QuerySet[MarginState]:
    """Every customer that was evaluated, the worst first; with customer and policy."""
    rows = MarginState.objects.of(tenant).select_related("customer", "policy")
    rows = rows.filter(**given(customer__external_id=customer, level=level, policy__code=policy))
    return rows.order_by("-level", "percent", "customer")


def margin_for(tenant: Tenant, external_id: str) -> MarginState:
    """Raises Problem not_found."""
    return found(margins_for(tenant), customer__external_id=external_id)


def margin_events_for(tenant: Tenant, *, customer: str | None = None) -> QuerySet[MarginEvent]:
    """The latest first; with customers."""
    rows = MarginEvent.objects.of(tenant).select_related("customer")
    return rows.filter(**given(customer__external_id=customer))
