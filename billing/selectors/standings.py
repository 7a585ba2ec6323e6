"""What customers hold, as the edge decides by it: their subscriptions with plans, contracts and periods around now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import takewhile

from aforo.tenancy.models import Customer, Tenant
from entitlements.resolution import Holding, Layer

from ..models import Contract, Offering, RatePlan, Subscription, Wallet
from ..models.subscription import SubscriptionState
from .periods import subscription_cycle
from .wallets import wallet_balance_at

# In force, as far as use is concerned.
ACTIVE = frozenset(
    {
        SubscriptionState.TRIALING,
        SubscriptionState.ACTIVE,
        SubscriptionState.PAST_DUE,
        SubscriptionState.EXPIRING_SOON,
    }
)
# Five years of months before now, and the period after the present one.
PERIODS_BEFORE = 60
PERIODS_AFTER = 1


def holdings_of(
    tenant: Tenant, customers: Collection[int], at: datetime
) -> dict[Customer, tuple[Holding, ...]]:
    """The subscriptions of these customers (their rows), ended ones included; a customer without any has none."""
    rows = (
        Subscription.objects.of(tenant)
        .filter(customer__in=customers)
        .select_related("customer", "offering")
        .prefetch_related("items__offering", "items__plan_version__plan", "contracts")
        .order_by("starts_at", "code")
    )
    held: dict[Customer, list[Holding]] = {
        customer: [] for customer in Customer.objects.of(tenant).filter(pk__in=customers)
    }
    for subscription in rows:
        held[subscription.customer].append(_holding(subscription, at))
    return {customer: tuple(holdings) for customer, holdings in held.items()}


def prepaid_out_of_money(tenant: Tenant, customers: Collection[int], at: datetime) -> set[int]:
    """Those who pay in advance and have nothing left, in the wallet of whoever pays for them."""
    prepaid: dict[tuple[int, str], set[int]] = defaultdict(set)
    rows = Subscription.objects.of(tenant).filter(
        customer__in=customers, offering__billing_mode=Offering.BillingMode.PREPAID, state__in=ACTIVE
    )
    for customer, parent, currency in rows.values_list("customer", "customer__parent", "offering__currency"):
        prepaid[parent or customer, currency].add(customer)
    wallets = {
        (wallet.customer_id, wallet.currency): wallet
        for wallet in Wallet.objects.of(tenant)
        .filter(customer__in={payer for payer, _ in prepaid})
        .select_related("tenant")
    }
    empty: set[int] = set()
    for payer_and_currency, payees in prepaid.items():
        wallet = wallets.get(payer_and_currency)
        if wallet is None or wallet_balance_at(wallet, at).available <= 0:
            empty |= payees
    return empty


def _holding(subscription: Subscription, at: datetime) -> Holding:
    on = at.astimezone(subscription.customer.zone).date()
    items = [
        item
        for item in subscription.items.all()
        if item.starts_at <= at and (item.ends_at is None or at < item.ends_at)
    ]
    contracts = [
        contract.code
        for contract in subscription.contracts.all()
        if contract.starts_on <= on and (contract.ends_on is None or on < contract.ends_on)
    ]
    return Holding(
        subscription=subscription.code,
        offerings=tuple(sorted({subscription.offering.code, *(item.offering.code for item in items)})),
        plans=tuple(sorted({item.plan_version.plan.code for item in items})),
        contracts=tuple(sorted(contracts)),
        is_active=subscription.state in ACTIVE,
        started_at=subscription.starts_at,
        boundaries=_boundaries(subscription, at),
    )


def _boundaries(subscription: Subscription, at: datetime) -> tuple[datetime, ...]:
    """Of whole periods from before now to the one after; the first begins with the subscription."""
    cycle = subscription_cycle(subscription)
    present = cycle.index_at(max(at, subscription.starts_at))
    indexes = range(present + PERIODS_AFTER, present - PERIODS_BEFORE - 1, -1)
    periods = list(takewhile(lambda one: one.end > subscription.starts_at, map(cycle.period, indexes)))[::-1]
    return (max(periods[0].start, subscription.starts_at), *(period.end for period in periods))


class Owners:
    """Entitlements' `EntitlementOwners`: plans, offerings and contracts by their codes."""

    def codes(self, tenant: Tenant, layer: Layer) -> Sequence[tuple[str, str]]:
        match layer:
            case "PLAN":
                rows = RatePlan.objects.of(tenant).order_by("code").values_list("code", "name")
            case "OFFERING":
                rows = Offering.objects.of(tenant).order_by("code").values_list("code", "name")
            case "CONTRACT":
                rows = Contract.objects.of(tenant).order_by("code").values_list("code", "subscription__code")
            case _:
                return ()
        return list(rows)
