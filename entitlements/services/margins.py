"""What people set for the margin guard: policies, what units cost, and costs from elsewhere. Every change is audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from aforo.audit.services import audit_write
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.tenants import customer_for, customers_for
from aforo.tenancy.services.rows import invalid, placed, row_save
from metering.aggregation import Aggregation
from metering.selectors.meters import meter_for

from ..models import CostRate, ImportedCost, MarginPolicy, MarginState
from ..ports import entitlement_owners
from ..selectors.margin import cost_rate_for, margin_policy_for
from .changes import change_write, fields_of

# Before any evaluation: due at once.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
ROWS_MAX = 100_000
# Whose hours, and so whose costs, add up.
ADDING = (Aggregation.COUNT, Aggregation.SUM)


@transaction.atomic
def margin_policy_create(*, tenant: Tenant, actor: str, code: str, name: str, **fields: Any) -> MarginPolicy:
    """Make a policy; see `MarginPolicy` for its fields. The currency is the tenant's unless given.

    Raises Problem input_invalid, already_exists, or not_found for the plan or customer it is for.
    """
    policy = MarginPolicy(tenant=tenant, code=code, name=name, **{"currency": tenant.currency, **fields})
    _policy_save(policy)
    audit_write(
        tenant=tenant,
        actor=actor,
        action="margin_policy.created",
        subject=f"margin policy {code}",
        after=fields_of(policy),
    )
    return policy


@transaction.atomic
def margin_policy_edit(*, tenant: Tenant, actor: str, code: str, **changes: Any) -> MarginPolicy:
    """Change anything but the code. Customers are judged by it within seconds. Raises as `margin_policy_create` does."""
    policy = margin_policy_for(tenant, code)
    before = fields_of(policy)
    for field, value in changes.items():
        setattr(policy, field, value)
    _policy_save(policy)
    change_write(
        tenant=tenant,
        actor=actor,
        action="margin_policy.edited",
        subject=f"margin policy {code}",
        before=before,
        after=fields_of(policy),
    )
    return policy


@transaction.atomic
def margin_policy_draft(*, tenant: Tenant, code: str, **changes: Any) -> MarginPolicy:
    """The policy as it would be with these changes, for a dry run; nothing is kept. Raises as `margin_policy_edit` does."""
    policy = margin_policy_for(tenant, code)
    for field, value in changes.items():
        setattr(policy, field, value)
    _owner_check(policy)
    row_save(policy)
    transaction.set_rollback(True)
    return policy


def _owner_check(policy: MarginPolicy) -> None:
    """Raises Problem not_found for a plan or customer that is not there."""
    if policy.scope == MarginPolicy.Scope.CUSTOMER and policy.owner:
        customer_for(policy.tenant, policy.owner)
    if policy.scope == MarginPolicy.Scope.PLAN and policy.owner:
        codes = {code for code, _ in entitlement_owners().codes(policy.tenant, "PLAN")}
        if policy.owner not in codes:
            raise Problem("not_found", f"No rate plan {policy.owner!r}.")


def _policy_save(policy: MarginPolicy) -> None:
    _owner_check(policy)
    row_save(policy)
    _judge_anew(policy.tenant)


@transaction.atomic
def cost_rate_create(
    *,
    tenant: Tenant,
    actor: str,
    meter: str,
    unit_cost: Decimal,
    starts_at: datetime,
    dimensions: Mapping[str, str] | None = None,
    **fields: Any,
) -> CostRate:
    """Say what a counted unit of a meter (its key) costs from an instant on.

    dimensions: values of the meter's dimensions, {"model": "gpt-4o"}. fields: currency, ends_at.
    Raises Problem input_invalid (also for a meter whose quantities do not add up), already_exists or not_found.
    """
    row = meter_for(tenant, meter)
    if row.aggregation not in ADDING:
        raise invalid("meter", f"is {row.aggregation}; only what is counted or summed has a cost a unit.")
    named = dict(dimensions or {})
    unknown = sorted(set(named) - set(row.group_by))
    if unknown:
        known = ", ".join(row.group_by) or "none"
        raise invalid("dimensions", f"names {', '.join(unknown)}; {row.key} keeps: {known}.")
    if not all(isinstance(value, str) for value in named.values()):
        raise invalid("dimensions", 'has a value that is no text; write it like {"model": "gpt-4o"}.')
    rate = CostRate(
        tenant=tenant,
        meter=row,
        dimensions=named,
        unit_cost=unit_cost,
        starts_at=starts_at,
        **{"currency": tenant.currency, **fields},
    )
    row_save(rate)
    _judge_anew(tenant)
    audit_write(
        tenant=tenant,
        actor=actor,
        action="cost_rate.created",
        subject=f"cost rate {rate}",
        after=fields_of(rate),
    )
    return rate


@transaction.atomic
def cost_rate_end(*, tenant: Tenant, actor: str, rate_id: UUID, ends_at: datetime) -> CostRate:
    """Let a rate end, so that another can follow it. Raises Problem not_found or input_invalid."""
    rate = cost_rate_for(tenant, rate_id)
    before = rate.ends_at
    rate.ends_at = ends_at
    row_save(rate)
    _judge_anew(tenant)
    audit_write(
        tenant=tenant,
        actor=actor,
        action="cost_rate.ended",
        subject=f"cost rate {rate}",
        before={"ends_at": before},
        after={"ends_at": ends_at},
    )
    return rate


@dataclass(frozen=True, slots=True)
class CostsImported:
    """added: new figures. changed: known ones with another amount, day or customer. same: known ones, as they were."""

    added: int
    changed: int
    same: int


@transaction.atomic
def costs_import(*, tenant: Tenant, actor: str, rows: Sequence[Mapping[str, Any]]) -> CostsImported:
    """Take over costs from elsewhere, all of them or none.

    rows: customer (external_id), on (a day), amount, source, external_key, and currency unless the tenant's. The same figure
    (source and external_key) again counts once, with what was said last.
    Raises Problem input_invalid or not_found, naming the row: costs[3].customer.
    """
    if len(rows) > ROWS_MAX:
        raise invalid("costs", f"has {len(rows):,} rows; up to {ROWS_MAX:,} are taken at once.")
    names = {str(row.get("customer")) for row in rows}
    customers = {one.external_id: one for one in customers_for(tenant).filter(external_id__in=names)}
    known = {
        (one.source, one.external_key): one
        for one in ImportedCost.objects.of(tenant).filter(
            external_key__in={str(row.get("external_key")) for row in rows}
        )
    }
    added = changed = same = 0
    for place, row in enumerate(rows):
        with placed(f"costs[{place}]"):
            customer = customers.get(str(row.get("customer")))
            if customer is None:
                raise invalid("customer", f"{row.get('customer')!r} is no customer.")
            one, is_new, is_changed = _taken(tenant, customer, row, known)
            if is_new or is_changed:
                row_save(one)
                known[one.source, one.external_key] = one
            added += is_new
            changed += is_changed
            same += not (is_new or is_changed)
    if added or changed:
        _judge_anew(tenant)
        audit_write(
            tenant=tenant,
            actor=actor,
            action="costs.imported",
            subject=f"costs from {', '.join(sorted({str(row['source']) for row in rows}))}",
            after={"added": added, "changed": changed, "same": same},
        )
    return CostsImported(added, changed, same)


def _taken(
    tenant: Tenant,
    customer: Customer,
    row: Mapping[str, Any],
    known: Mapping[tuple[str, str], ImportedCost],
) -> tuple[ImportedCost, bool, bool]:
    """The row's figure, and whether it is new, or another than before."""
    told = {
        "customer": customer,
        "on": row["on"],
        "amount": row["amount"],
        "currency": row.get("currency") or tenant.currency,
    }
    one = known.get((row["source"], row["external_key"]))
    if one is None:
        return (
            ImportedCost(tenant=tenant, source=row["source"], external_key=row["external_key"], **told),
            True,
            False,
        )
    is_changed = any(getattr(one, name) != value for name, value in told.items())
    for name, value in told.items():
        setattr(one, name, value)
    return one, False, is_changed


def cost_rows(lines: Iterable[Mapping[str, str | None]]) -> list[dict[str, Any]]:
    """The lines of a CSV file as `costs_import` takes them. Raises Problem input_invalid, naming the line: costs[3].amount."""
    rows = []
    for place, texts in enumerate(lines):
        with placed(f"costs[{place}]"):
            rows.append(cost_row(texts))
    return rows


def cost_row(texts: Mapping[str, str | None]) -> dict[str, Any]:
    """A line of a CSV file with the columns customer, on, amount, source, external_key and, if need be, currency.

    Raises Problem input_invalid.
    """
    row: dict[str, Any] = {name: (value or "").strip() for name, value in texts.items() if name}
    missing = [name for name in ("customer", "on", "amount", "source", "external_key") if not row.get(name)]
    if missing:
        raise invalid(
            missing[0], "is missing; the columns are customer, on, amount, currency, source, external_key."
        )
    try:
        row["on"] = date.fromisoformat(row["on"])
    except ValueError:
        raise invalid("on", f"{row['on']!r} is no day; write it like 2026-03-31.") from None
    try:
        row["amount"] = Decimal(row["amount"])
    except ArithmeticError:
        raise invalid("amount", f"{row['amount']!r} is no amount; write it like 12.50.") from None
    if not row["amount"].is_finite():
        raise invalid("amount", f"{row['amount']} is no amount; write it like 12.50.")
    return row


def _judge_anew(tenant: Tenant) -> None:
    MarginState.objects.of(tenant).update(evaluated_at=NEVER)
