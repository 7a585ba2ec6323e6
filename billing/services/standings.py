"""Standings: what customers hold, written down to entitlements in the moment in which it has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta

from django.db import transaction

from aforo.kernel.clock import now
from aforo.outbox.services import facts_take
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import tenant_of
from entitlements.selectors.standings import customers_told_since
from entitlements.services.standings import standing_set

from ..models import Offering, Subscription
from ..selectors.standings import ACTIVE, holdings_of, prepaid_out_of_money

# Written by triggers on subscriptions, contracts and wallets, in the transaction of the change.
TOPIC = "billing.standings"
FACTS_MAX = 500
# Boundaries reach to the end of the next period; long before that they are written anew.
LOOKED_AT_AFTER = timedelta(days=1)


@transaction.atomic
def standings_write(*, tenant: Tenant, customer_ids: Collection[int]) -> int:
    """Write what these customers hold now; returns for how many that was anything new."""
    at = now()
    empty = prepaid_out_of_money(tenant, customer_ids, at)
    return sum(
        standing_set(
            tenant=tenant, customer=customer, holdings=holdings, is_wallet_empty=customer.pk in empty
        )
        for customer, holdings in holdings_of(tenant, customer_ids, at).items()
    )


class Standings:
    """Entitlements' `StandingSource`."""

    @transaction.atomic
    def told(self) -> int:
        """Write the standings of the customers of whom the oldest facts tell."""
        customers: dict[int, set[int]] = defaultdict(set)
        for fact in facts_take(TOPIC, FACTS_MAX):
            customers[fact.tenant_id].add(fact.body["customer_id"])
        return sum(
            standings_write(tenant=tenant_of(tenant_id), customer_ids=ids)
            for tenant_id, ids in customers.items()
        )


def standings_keep() -> int:
    """What changes by time alone: wallets whose money expires, contracts that begin and end, periods that turn."""
    due: dict[int, set[int]] = defaultdict(set)
    running = Subscription.objects.filter(state__in=ACTIVE)
    prepaid = running.filter(offering__billing_mode=Offering.BillingMode.PREPAID)
    timed = running.filter(contracts__isnull=False)
    not_lately = running.exclude(customer__in=customers_told_since(now() - LOOKED_AT_AFTER))
    for rows in (prepaid, timed, not_lately):
        for tenant_id, customer_id in rows.values_list("tenant_id", "customer_id").distinct():
            due[tenant_id].add(customer_id)
    return sum(
        standings_write(tenant=tenant_of(tenant_id), customer_ids=ids) for tenant_id, ids in due.items()
    )
