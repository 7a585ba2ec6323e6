"""Upkeep: what time alone does to a wallet. Whoever changes a wallet brings it up to the instant first, and a task does the
same every minute for those that nobody touches.

Each step is done for as long as there is something of it, under the wallet's lock; doing it twice does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import tenant_of

from ..ledger.wallets import expiry_book
from ..locks import wallet_of_id_locked
from ..models import Wallet, WalletBurn, WalletGrant, WalletHold
from ..selectors.wallets import ZERO, grants_for


def wallets_keep(*, as_of: datetime) -> int:
    """Bring every wallet of every tenant for which it is time up to an instant, each by itself; how many there were."""
    due = list(_due(as_of))
    for tenant_id, wallet_id in due:
        wallet_keep(tenant=tenant_of(tenant_id), wallet_id=wallet_id, as_of=as_of)
    return len(due)


@transaction.atomic
def wallet_keep(*, tenant: Tenant, wallet_id: UUID, as_of: datetime) -> None:
    """Bring a wallet up to an instant. Locks the wallet. Raises Problem not_found."""
    brought_up(wallet_of_id_locked(tenant, wallet_id), as_of)


def brought_up(wallet: Wallet, at: datetime) -> None:
    """End the holds that have run out, then book what is left of expired grants. Lock the wallet first.

    A hold that ran out did so at its own instant, whenever this is called; so did a grant.
    """
    for hold in wallet.holds.filter(status=WalletHold.Status.PENDING, expires_at__lte=at):
        hold.status, hold.closed_at = WalletHold.Status.EXPIRED, hold.expires_at
        hold.save(update_fields=["status", "closed_at"])
    _expired_booked(wallet, at)


def _expired_booked(wallet: Wallet, at: datetime) -> None:
    """Breakage of what no hold sets aside. What a hold lets go of after its grant's expiry expires when it does."""
    grants = grants_for(wallet.tenant, at=at).filter(wallet=wallet, closed_at=None, expires_at__lte=at)
    for grant in grants.select_related("wallet__customer", "tenant"):
        if grant.free > ZERO:
            let_go_at = WalletHold.objects.filter(parts__grant=grant).aggregate(at=Max("closed_at"))["at"]
            burn = WalletBurn.objects.create(
                tenant=wallet.tenant,
                grant=grant,
                kind=WalletBurn.Kind.EXPIRY,
                amount=grant.free,
                burned_at=max(grant.expires_at, let_go_at or grant.expires_at),
            )
            expiry_book(burn)
        if grant.held == ZERO:
            grant.closed_at = at
            grant.save(update_fields=["closed_at"])


def _due(at: datetime) -> Iterator[tuple[int, UUID]]:
    """Tenant and id of the wallets in which something has run out."""
    holds = WalletHold.objects.filter(status=WalletHold.Status.PENDING, expires_at__lte=at)
    grants = WalletGrant.objects.filter(closed_at=None, expires_at__lte=at)
    found = {row for rows in (holds, grants) for row in rows.values_list("tenant_id", "wallet_id")}
    yield from sorted(found)
