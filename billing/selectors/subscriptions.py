"""The doors to subscriptions; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import Charge, Contract, RatePlanVersion, Subscription, SubscriptionItem
from ..models.subscription import ENDED
from .contracts import ROWS as CONTRACT_ROWS
from .periods import billed_period, subscription_cycle


def subscriptions_for(tenant: Tenant) -> QuerySet[Subscription]:
    """With customer and offering."""
    return Subscription.objects.of(tenant).select_related("customer", "offering")


def subscriptions_listed(
    tenant: Tenant, *, customer: str | None = None, offering: str | None = None, state: str | None = None
) -> QuerySet[Subscription]:
    """With items, coupons and phases, too. customer: external_id. offering: its code."""
    return (
        subscriptions_for(tenant)
        .filter(**given(customer__external_id=customer, offering__code=offering, state=state))
        .prefetch_related("items__offering", "items__plan_version__plan", "phases", "coupons__coupon")
    )


def subscriptions_due(as_of: datetime) -> QuerySet[Subscription]:
    """Those of every tenant whose start, end of trial or end has come and whose state has not followed."""
    trials = SubscriptionItem.objects.filter(subscription=OuterRef("pk"), trial_ends_at__isnull=False)
    return Subscription.objects.exclude(state__in=ENDED).filter(
        Q(ends_at__lte=as_of)
        | Q(state="CREATED", starts_at__lte=as_of)
        | (Q(state="TRIALING") & Exists(trials) & ~Exists(trials.filter(trial_ends_at__gt=as_of)))
    )


def subscriptions_holding(tenant: Tenant, version: RatePlanVersion, at: datetime) -> QuerySet[Subscription]:
    """Those that hold a plan version at an instant or later, and have not ended."""
    items = SubscriptionItem.objects.filter(subscription=OuterRef("pk"), plan_version=version)
    items = items.filter(Q(ends_at=None) | Q(ends_at__gt=at))
    return Subscription.objects.of(tenant).exclude(state__in=ENDED).filter(Exists(items))


def subscription_for(tenant: Tenant, code: str) -> Subscription:
    """Raises Problem not_found."""
    return found(subscriptions_for(tenant), code=code)


def billed_subscriptions_for(tenant: Tenant) -> QuerySet[Subscription]:
    """With all that a bill is made of and that other subscriptions may share; each is read once for all of them."""
    charges = Charge.objects.select_related("meter").prefetch_related("tiers")
    versions = RatePlanVersion.objects.select_related("plan__product")
    return (
        Subscription.objects.of(tenant)
        .select_related("tenant", "customer__parent")
        .prefetch_related(
            "offering",
            "items",
            Prefetch("items__plan_version", versions.prefetch_related(Prefetch("charges", charges))),
            "setup_fees__offering",
            Prefetch("contracts", Contract.objects.prefetch_related(*CONTRACT_ROWS)),
            "coupons__coupon",
        )
    )


def billed_subscription_for(tenant: Tenant, **by: object) -> Subscription:
    """One of them. by: code=… or pk=…. Raises Problem not_found."""
    return found(billed_subscriptions_for(tenant), **by)


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """cycle: a whole period. billed: the part of it in which the subscription runs."""

    cycle: Period
    billed: Period


def subscription_periods(
    subscription: Subscription, *, start: datetime | None = None
) -> Iterator[BilledPeriod]:
    """Its periods in order, from the one that holds *start*, or from the first; without end while it is open.

    Anchor on the 31st from 31 January 2026 in UTC: [31 January, 28 February), [28 February, 31 March) …
    """
    cycle = subscription_cycle(subscription)
    index = cycle.index_at(max(start or subscription.starts_at, subscription.starts_at))
    while (billed := billed_period(subscription, cycle.period(index))) is not None:
        yield BilledPeriod(cycle=cycle.period(index), billed=billed)
        index += 1
