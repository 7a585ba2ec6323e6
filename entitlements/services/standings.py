"""Standings: billing says what a customer holds, and the edge is told where that has changed."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, Tenant

from ..models import Holding, Standing
from ..resolution import Holding as HoldingValue
from .touched import touched


@transaction.atomic
def standing_set(
    *, tenant: Tenant, customer: Customer, holdings: Collection[HoldingValue], is_wallet_empty: bool = False
) -> bool:
    """Take over what a customer holds, all of it; returns whether that is anything new.

    holdings: every subscription it ever had, as it is now. is_wallet_empty: prepaid, and nothing is left.
    Locks the customer's standing. The same again changes nothing and tells nobody.
    """
    standing, is_new = Standing.objects.select_for_update().get_or_create(
        customer=customer, defaults={"tenant": tenant, "is_wallet_empty": is_wallet_empty}
    )
    before = {row.subscription: row for row in Holding.objects.of(tenant).filter(customer=customer)}
    known = {code: row.holding() for code, row in before.items()}
    told = {one.subscription: one for one in holdings}
    is_same = not is_new and known == told and standing.is_wallet_empty == is_wallet_empty
    Standing.objects.filter(pk=standing.pk).update(is_wallet_empty=is_wallet_empty, told_at=now())
    if is_same:
        return False
    Holding.objects.filter(pk__in=[row.pk for code, row in before.items() if code not in told]).delete()
    for code, one in told.items():
        if known.get(code) != one:
            Holding.objects.update_or_create(
                tenant=tenant, subscription=code, defaults=_columns(customer, one)
            )
    touched(tenant=tenant, customer_ids=[customer.pk])
    return True


def _columns(customer: Customer, one: HoldingValue) -> dict[str, object]:
    return {
        "customer": customer,
        "offerings": list(one.offerings),
        "plans": list(one.plans),
        "contracts": list(one.contracts),
        "is_active": one.is_active,
        "started_at": one.started_at,
        "boundaries": list(one.boundaries),
    }
