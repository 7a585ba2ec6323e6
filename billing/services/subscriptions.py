"""Subscriptions: made on pinned versions, moved along the legal moves, ended at an instant."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.cycles import calendar_cycle
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text, local_midnight
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..locks import customer_locked, subscription_locked, subscriptions_due_locked
from ..models import Offering, Subscription, SubscriptionPhase
from ..models.subscription import ENDED, LEGAL_MOVES, SubscriptionState
from ..selectors.catalog import offering_for
from ..selectors.subscriptions import subscription_for
from .amounts import currency_check
from .subscription_items import (
    ONE,
    items_pause,
    items_resume,
    offering_begin,
    open_check,
    trial_end,
    versions_on_sale,
)

UTC = ZoneInfo("UTC")


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
    quantity: Decimal = ONE,
    trial_days: int | None = None,
) -> Subscription:
    """Put a customer on an offering; its versions are pinned, whatever is published later.

    customer: external_id. plan: one of a standalone offering's; needed where it has several. version: its number, the
    newest published one unless given; a bundle is sold with the newest of each plan. starts_on: begins at midnight of this
    day in the customer's zone; or starts_at, an instant; today unless given. anchor_on: local date that the periods are
    counted from; the start's unless given, and the calendar's where the offering is billed by calendar periods.
    quantity: how often the fees are due, of each plan. trial_days: the offering's unless given.
    One whose start has come is TRIALING or ACTIVE at once; a later one stays CREATED until it is moved.
    Locks the customer. Raises Problem not_found, already_exists, state_conflict for a version that is not on sale, or
    input_invalid where the currencies differ or the offering is an add-on.
    """
    customer_row = customer_locked(tenant, customer)
    offering_row = offering_for(tenant, offering)
    if offering_row.kind == Offering.Kind.ADDON:
        raise invalid("offering", f"{offering!r} is an add-on; it is added to a running subscription.")
    versions = versions_on_sale(tenant, offering_row, plan, version)
    currency_check(offering_row.currency, customer_row.currency, whose=f"the customer {customer!r}")
    start = _start(customer_row, starts_on, starts_at)
    subscription = Subscription(
        tenant=tenant,
        code=code,
        customer=customer_row,
        offering=offering_row,
        starts_at=start,
        interval=offering_row.interval,
        anchor_on=_anchor(offering_row, start.astimezone(customer_row.zone).date(), anchor_on),
    )
    trial_ends_at = trial_end(start, offering_row, trial_days, customer_row.zone)
    state = _begun_as(trial_ends_at, now()) if start <= now() else SubscriptionState.CREATED
    _moved(subscription, state, before="", at=now(), reason="created")
    offering_begin(
        subscription,
        offering_row,
        versions,
        quantity=quantity,
        starts_at=start,
        trial_ends_at=trial_ends_at,
    )
    return subscription


@transaction.atomic
def subscription_move(
    *, tenant: Tenant, code: str, to: str, reason: str = "", at: datetime | None = None
) -> Subscription:
    """Move the state along LEGAL_MOVES and write the phase.

    at: when it moved, now unless given, not in the future. A move to EXPIRED or CANCELLED ends the subscription then.
    PAUSED closes what it holds, and ACTIVE after it opens the same again; what is in between is not billed.
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
    elif to == SubscriptionState.PAUSED:
        items_pause(subscription, moved_at)
    elif subscription.state == SubscriptionState.PAUSED:
        items_resume(subscription, moved_at)
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
    """Move what the calendar moves: to TRIALING or ACTIVE once the start has come, to ACTIVE once the trial is over, to
    CANCELLED once a named end has come.

    Billing and enrichment look at starts_at and ends_at and do not wait for this.
    Returns how many moves; running it again makes none. Locks the subscriptions it moves.
    """
    moves = 0
    for subscription in subscriptions_due_locked(tenant, as_of):
        trial_ends_at = max(
            filter(None, subscription.items.values_list("trial_ends_at", flat=True)), default=None
        )
        for before, state, instant in (
            ({SubscriptionState.CREATED}, _begun_as(trial_ends_at, as_of), subscription.starts_at),
            ({SubscriptionState.TRIALING}, SubscriptionState.ACTIVE, trial_ends_at),
            (LEGAL_MOVES.keys() - ENDED, SubscriptionState.CANCELLED, subscription.ends_at),
        ):
            if subscription.state in before and instant is not None and instant <= as_of:
                _moved(subscription, state, before=subscription.state, at=instant, reason="due")
                moves += 1
    return moves


def _anchor(offering: Offering, starts_on: date, anchor_on: date | None) -> date:
    if offering.alignment == Offering.Alignment.ANNIVERSARY:
        return anchor_on or starts_on
    if anchor_on is not None:
        raise invalid("anchor_on", f"is the calendar's own; {offering.code!r} is billed by calendar periods.")
    return calendar_cycle(offering.interval, starts_on, UTC).anchor


def _begun_as(trial_ends_at: datetime | None, at: datetime) -> SubscriptionState:
    is_trying = trial_ends_at is not None and at < trial_ends_at
    return SubscriptionState.TRIALING if is_trying else SubscriptionState.ACTIVE


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
    open_check(subscription, at, "end it")
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
