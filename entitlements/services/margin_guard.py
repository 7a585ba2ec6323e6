"""The margin guard at work: customers are judged, what changes is written, told and audited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from aforo.audit.services import audit_write
from aforo.kernel.clock import now
from aforo.kernel.periods import Period
from aforo.outbox.services import fact_write
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.tenants import customers_for
from metering.selectors.meters import meters_for
from metering.selectors.usage import Wanted, events_counted

from ..margin import WELL, MarginStanding, evaluate, margin_percent
from ..models import MarginEvent, MarginPolicy, MarginState
from ..selectors.margin import margin_policies_for
from ..selectors.margin_figures import Figures, figures_of, holdings_by_customer, policy_of, window_at
from .touched import touched

# For webhooks.
TRIPPED = "margin.tripped"
ACTOR = "margin guard"
# Without news a customer is judged again after so long: late usage, fees that accrue, windows that turn.
LOOKED_AT_AFTER = timedelta(minutes=10)
RECENT = timedelta(hours=1)
# Of one turn.
CUSTOMERS_MAX = 200
# What so many customers are billed by is read at once.
READ_TOGETHER = 50
ISSUE_LENGTH_MAX = 300
REFUSING = frozenset({"throttle", "downgrade", "block"})


def margins_evaluate(*, tenant: Tenant, as_of: datetime | None = None, count_max: int = CUSTOMERS_MAX) -> int:
    """Judge the customers who have news, and those not looked at for ten minutes, the longest waiting first; returns how many.

    Each in a transaction of its own: the state, the events, the audit and the news for the edge, all or none of them.
    """
    at = as_of or now()
    policies = list(margin_policies_for(tenant, is_active=True))
    states = {state.customer_id: state for state in MarginState.objects.of(tenant)}
    if not policies and not any(state.level for state in states.values()):
        return 0
    customers = list(customers_for(tenant))
    holdings = holdings_by_customer(tenant, customers)
    recent = _recent_events(tenant, customers, at)
    due = [
        customer
        for customer in customers
        if _is_due(states.get(customer.pk), recent[customer.pk], at)
        and (customer.pk in states or policy_of(policies, customer, holdings[customer.pk]) is not None)
    ]
    due.sort(key=lambda one: (states[one.pk].evaluated_at.timestamp() if one.pk in states else 0, one.pk))
    due = due[:count_max]
    policy_by_customer = {one.pk: policy_of(policies, one, holdings[one.pk]) for one in due}
    for start in range(0, len(due), READ_TOGETHER):
        chunk = due[start : start + READ_TOGETHER]
        asked = [
            (customer, policy, [window_at(policy, customer, holdings[customer.pk], at)])
            for customer in chunk
            if (policy := policy_by_customer[customer.pk]) is not None
        ]
        found = {
            customer.pk: figures
            for (customer, *_), (figures,) in zip(asked, figures_of(tenant, asked), strict=True)
        }
        for customer in chunk:
            _judge(
                tenant,
                customer,
                policy_by_customer[customer.pk],
                found.get(customer.pk),
                at,
                recent_events=recent[customer.pk],
            )
    return len(due)


def _is_due(state: MarginState | None, recent_events: int, at: datetime) -> bool:
    if state is None or state.recent_events != recent_events:
        return True
    return at - state.evaluated_at >= LOOKED_AT_AFTER


def _recent_events(tenant: Tenant, customers: Sequence[Customer], at: datetime) -> dict[int, int]:
    """How many events each customer had in this hour and the one before: another number is news."""
    meters = [row.meter() for row in meters_for(tenant)]
    period = Period(at - RECENT, at)
    wanted = [[Wanted(customer.pk, meter, period) for meter in meters] for customer in customers]
    counted = events_counted(tenant=tenant, wanted=wanted)
    return {customer.pk: count for customer, count in zip(customers, counted, strict=True)}


def _judge(
    tenant: Tenant,
    customer: Customer,
    policy: MarginPolicy | None,
    figures: Figures | None,
    at: datetime,
    *,
    recent_events: int,
) -> None:
    with transaction.atomic():
        MarginState.objects.bulk_create(
            [MarginState(tenant=tenant, customer=customer)], ignore_conflicts=True
        )
        state = MarginState.objects.select_for_update().get(customer=customer)
        before = state.standing()
        if policy is None or figures is None:
            after = WELL
        elif figures.issue:
            # What cannot be compared is no reason to let go, nor to hold.
            after = before
        else:
            after = evaluate(policy.policy(), figures.revenue, figures.cost, before.level)
        _write(state, policy, figures, after, at)
        state.recent_events = recent_events
        state.save()
        if after != before:
            _tell(tenant, customer, state, before, after)


def _write(
    state: MarginState,
    policy: MarginPolicy | None,
    figures: Figures | None,
    standing: MarginStanding,
    at: datetime,
) -> None:
    if standing.level != state.level:
        state.since_at = at
    state.policy = policy
    state.level, state.action = standing.level, standing.action
    state.throttle_percent, state.retry_after_s = standing.throttle_percent, standing.retry_after_s
    state.downgrades = dict(standing.downgrades)
    state.evaluated_at = at
    state.issue = figures.issue[:ISSUE_LENGTH_MAX] if figures else ""
    state.revenue = figures.revenue if figures else Decimal(0)
    state.cost = figures.cost if figures else Decimal(0)
    state.percent = margin_percent(figures.revenue, figures.cost) if figures else None
    if policy is not None and figures is not None:
        state.currency = policy.currency
        state.window_start, state.window_end = figures.window.start, figures.window.end


def _tell(
    tenant: Tenant, customer: Customer, state: MarginState, before: MarginStanding, after: MarginStanding
) -> None:
    touched(tenant=tenant, customer_ids=[customer.pk])
    for kind in _kinds(before, after):
        event = MarginEvent.objects.create(
            tenant=tenant,
            customer=customer,
            policy_code=state.policy.code if state.policy else "",
            kind=kind,
            level_before=before.level,
            level=after.level,
            action=after.action,
            revenue=state.revenue,
            cost=state.cost,
            currency=state.currency,
            percent=state.percent,
            at=state.evaluated_at,
        )
        facts: dict[str, Any] = {
            "policy": event.policy_code,
            "level": after.level,
            "action": after.action,
            "revenue": state.revenue,
            "cost": state.cost,
            "currency": state.currency,
            "margin_percent": state.percent,
        }
        if kind == MarginEvent.Kind.TRIPPED:
            body = {"event": str(event.pk), "customer": customer.external_id, "level": after.level}
            fact_write(tenant=tenant, topic=TRIPPED, body=body)
        audit_write(
            tenant=tenant,
            actor=ACTOR,
            action=f"margin.{kind.lower()}",
            subject=f"customer {customer.external_id}",
            before={"level": before.level, "action": before.action},
            after=facts,
        )


def _kinds(before: MarginStanding, after: MarginStanding) -> list[str]:
    """What happened: 0 to 3 under a policy that is enforced is a trip and an enforcement; 3 to 2 is a release, and another enforcement."""
    kinds: list[str] = []
    if after.level > before.level:
        kinds.append(MarginEvent.Kind.TRIPPED)
    is_released = after.level < before.level or (before.action in REFUSING and after.action not in REFUSING)
    if is_released:
        kinds.append(MarginEvent.Kind.RELEASED)
    if after.action in REFUSING and after != before:
        kinds.append(MarginEvent.Kind.ENFORCED)
    return kinds
