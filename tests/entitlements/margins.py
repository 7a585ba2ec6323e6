"""A customer that pays 0.01 a call, where a call costs what the test says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from aforo.tenancy.models import Customer, Tenant
from billing.services.standings import standings_write
from entitlements.models import MarginPolicy
from entitlements.services.margins import cost_rate_create, margin_policy_create
from metering.models import MeterRow
from tests.billing.builders import a_subscription, used
from tests.workspaces import workspace

MARCH_20 = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass
class Guarded:
    tenant: Tenant
    customer: Customer
    meter: MeterRow

    def used(self, calls: int, at: datetime = datetime(2026, 3, 10, tzinfo=UTC)) -> None:
        used(self.customer, self.meter, str(calls), at)

    def costs(self, unit_cost: str, starts_at: datetime = datetime(2026, 1, 1, tzinfo=UTC), **fields) -> None:
        cost_rate_create(
            tenant=self.tenant,
            actor="ada",
            meter=self.meter.key,
            unit_cost=Decimal(unit_cost),
            starts_at=starts_at,
            **fields,
        )

    def policy(self, code: str = "standard", **fields) -> MarginPolicy:
        return margin_policy_create(tenant=self.tenant, actor="ada", code=code, name=code, **fields)


def guarded(*charges: dict[str, object]) -> Guarded:
    """cust_abc with a subscription from 1 January 2026 on: 0.01 a unit of api.call, which sums quantities."""
    made = workspace()
    made.meter.aggregation = "SUM"
    made.meter.save()
    per_call = {"code": "calls", "model": "PER_UNIT", "meter": made.meter, "unit_price": Decimal("0.01")}
    a_subscription(made.customer, per_call, *charges)
    standings_write(tenant=made.tenant, customer_ids=[made.customer.pk])
    return Guarded(made.tenant, made.customer, made.meter)
