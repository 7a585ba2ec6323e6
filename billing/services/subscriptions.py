"""Subscriptions: made on a pinned version, moved along the legal moves, ended at an instant."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text, local_midnight
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..locks import customer_locked, subscription_locked, subscriptions_due_locked
from ..models import Invoice, Offering, RatePlanVersion, Subscription, SubscriptionPhase
from ..models.subscription import ENDED, LEGAL_MOVES, SubscriptionState
from ..selectors.catalog import offering_for, version_for, version_on_sale
from ..selectors.subscriptions import subscription_for
from .amounts import currency_check


@transaction.atomic
def subscription_create(
    *,
    tenant: Tenant,
    code: str,
    customer: str,
    offering: str,
    plan: str | None = None,
    version: int | None = None,
    starts_on: date | None = None,
    starts_at: datetime | None = None,
    anchor_on: date | None = None,
) -> Subscription:
    """Put a customer on an offering; the version is pinned, whatever is published later.

    customer: external_id. plan: one of the offering's; needed where it has several. version: its number, the newest
    published one unless given. starts_on: begins at midnight of this day in the customer's zone; or starts_at, an
    instant; today unless given. anchor_on: local date whose day of month starts each period; the start's unless given.
    One whose start has come is ACTIVE at once; a later one stays CREATED until it is moved.
    Locks the customer. Raises Problem not_found, already_exists, state_conflict for a version that is not on sale, or
    input_invalid where the currencies differ.
    """
    customer_row = customer_locked(tenant, customer)
    offering_row = offering_for(tenant, offering)
    version_row = _pinned(tenant, offering_row, plan, version)
    currency_check(offering_row.currency, customer_row.currency, whose=f"the customer {customer!r}")
    start = _start(customer_row, starts_on, starts_at)
    subscription = Subscription(
        tenant=tenant,
        code=code,
        customer=customer_row,
        offering=offering_row,
        plan_version=version_row,
        starts_at=start,
        anchor_on=anchor_on or start.astimezone(customer_row.zone).date(),
    )
    _moved(
        subscription,
        SubscriptionState.ACTIVE if start <= now() else SubscriptionState.CREATED,
        before="",
        at=now(),
        reason="created",
    )
    return subscription


@transaction.atomic
def subscription_move(
    *, tenant: Tenant, code: str, to: str, reason: str = "", at: datetime | None = None
) -> Subscription:
    """Move the state along LEGAL_MOVES and write the phase.

    at: when it moved, now unless given, not in the future. A move to EXPIRED or CANCELLED ends the subscription then.
    Locks the subscription. Raises Problem not_found, input_invalid, or state_conflict naming the legal moves.
    """
    moved_at = at or now()
    if moved_at > now():
        raise invalid("at", f"is in the future: {instant_text(moved_at)}.")
    if to not in SubscriptionState.values:
        raise invalid("to", f"is none of {', '.join(SubscriptionState.values)}.")
    subscription = _locked(tenant, code)
    _legal_check(subscription, to)
    if to in ENDED:
        _end(subscription, moved_at)
    _moved(subscription, SubscriptionState(to), before=subscription.state, at=moved_at, reason=reason)
    return subscription


@transaction.atomic
def subscription_cancel(
    *, tenant: Tenant, code: str, at: datetime | None = None, reason: str = ""
) -> Subscription:
    """End the subscription at an instant: it is billed until then and not from then on.

    at: now unless given. Before the start: it never ran. In the future: its state moves when the instant has come, by
    `subscriptions_advance`; until then another cancellation may name another instant.
    Locks the subscription. Raises Problem not_found, or state_conflict where it has ended already or an issued invoice
    covers the time after.
    """
    ends_at = at or now()
    subscription = _locked(tenant, code)
    _legal_check(subscription, SubscriptionState.CANCELLED)
    _end(subscription, ends_at)
    if ends_at <= now() or subscription.ends_at == subscription.starts_at:
        _moved(subscription, SubscriptionState.CANCELLED, before=subscription.state, at=now(), reason=reason)
    else:
        row_save(subscription)
    return subscription


@transaction.atomic
def subscriptions_advance(*, tenant: Tenant, as_of: datetime) -> int:
    """Move what the calendar moves: to ACTIVE once the start has come, to CANCELLED once a named end has come.

    Billing and enrichment look at starts_at and ends_at and do not wait for this.
    Returns how many moves; running it again makes none. Locks the subscriptions it moves.
    """
    moves = 0
    for subscription in subscriptions_due_locked(tenant, as_of):
        for state, instant in (
            (SubscriptionState.ACTIVE, subscription.starts_at),
            (SubscriptionState.CANCELLED, subscription.ends_at),
        ):
            is_due = instant is not None and instant <= as_of and subscription.state != state
            if is_due and state in LEGAL_MOVES[subscription.state]:
                _moved(subscription, state, before=subscription.state, at=instant, reason="due")
                moves += 1
    return moves


def _pinned(tenant: Tenant, offering: Offering, plan: str | None, version: int | None) -> RatePlanVersion:
    codes = [row.plan.code for row in offering.plans.all()]
    if plan is None and len(codes) > 1:
        raise invalid("plan", f"is missing; the offering has {', '.join(sorted(codes))}.")
    if plan is not None and plan not in codes:
        raise invalid("plan", f"{plan!r} is not in the offering {offering.code!r}.")
    if version is None:
        return version_on_sale(tenant, plan or codes[0])
    row = version_for(tenant, plan or codes[0], version)
    if row.status != RatePlanVersion.Status.PUBLISHED:
        raise Problem("state_conflict", f"{row} is not on sale; only a published version is.")
    return row


def _start(customer: Customer, starts_on: date | None, starts_at: datetime | None) -> datetime:
    if starts_on is not None and starts_at is not None:
        raise invalid("starts_at", "and starts_on are two ways to say the start; give one.")
    if starts_at is not None:
        return starts_at
    return local_midnight(starts_on or now().astimezone(customer.zone).date(), customer.zone)


def _locked(tenant: Tenant, code: str) -> Subscription:
    return subscription_locked(tenant, subscription_for(tenant, code).pk)


def _legal_check(subscription: Subscription, to: str) -> None:
    legal = sorted(LEGAL_MOVES[subscription.state])
    if to not in legal:
        said = ", ".join(legal) or "none"
        raise Problem(
            "state_conflict",
            f"A subscription that is {subscription.state} does not become {to}; legal moves: {said}.",
            state=subscription.state,
            legal_moves=legal,
        )


def _end(subscription: Subscription, at: datetime) -> None:
    """Set the first instant that is no longer billed; what is invoiced already stays billed."""
    billed = (
        Invoice.objects.of(subscription.tenant)
        .filter(subscription=subscription, period_end__gt=at)
        .exclude(status__in=(Invoice.Status.DRAFT, Invoice.Status.VOID))
        .order_by("-period_end")
        .first()
    )
    if billed is not None:
        raise Problem(
            "state_conflict",
            f"Invoice {billed.number} bills the subscription until {instant_text(billed.period_end)}; end it then or later.",
        )
    subscription.ends_at = max(at, subscription.starts_at)


def _moved(
    subscription: Subscription, to: SubscriptionState, *, before: str, at: datetime, reason: str
) -> None:
    subscription.state = to
    row_save(subscription)
    row_save(
        SubscriptionPhase(
            tenant=subscription.tenant,
            subscription=subscription,
            before=before,
            after=to,
            reason=reason,
            moved_at=at,
        )
    )
