"""The doors to wallets: what was put in, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from aforo.kernel.decimals import total
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..burn import Grant, burn_order
from ..models import Wallet, WalletBurn, WalletGrant
from ..models.fields import AmountField


def wallets_for(tenant: Tenant) -> QuerySet[Wallet]:
    """With customer."""
    return Wallet.objects.of(tenant).select_related("customer")


def wallets_listed(
    tenant: Tenant, *, customer: str | None = None, currency: str | None = None
) -> QuerySet[Wallet]:
    """customer: external_id."""
    return wallets_for(tenant).filter(**given(customer__external_id=customer, currency=currency))


def wallet_for(tenant: Tenant, wallet_id: UUID) -> Wallet:
    """Raises Problem not_found."""
    return found(wallets_for(tenant), pk=wallet_id)


def grants_for(tenant: Tenant) -> QuerySet[WalletGrant]:
    """Each with `left`: its amount minus what was burned of it."""
    burned = (
        WalletBurn.objects.of(tenant)
        .filter(grant=OuterRef("pk"))
        .values("grant")
        .annotate(sum=Sum("amount"))
        .values("sum")
    )
    return WalletGrant.objects.of(tenant).annotate(
        left=F("amount") - Coalesce(Subquery(burned), Decimal(0), output_field=AmountField())
    )


@dataclass(frozen=True, slots=True)
class WalletBalance:
    """A wallet at an instant, major units.

    grants: all of them, in burn order; `left` is what can be burned then, 0 before one starts and once it has expired.
    balance: their sum.
    """

    wallet: Wallet
    grants: tuple[WalletGrant, ...]

    @property
    def balance(self) -> Decimal:
        return total(each.left for each in self.grants)


def wallet_balance_at(wallet: Wallet, at: datetime) -> WalletBalance:
    """What is left of each grant, in the order in which they pay: PROMO, BONUS, CASH, soonest expiry, oldest.

    PROMO 15.00 of which 5.00 was burned and CASH 50.00: 10.00 + 50.00 = 60.00.
    """
    rows = {str(row.pk): row for row in grants_for(wallet.tenant).filter(wallet=wallet)}
    order = burn_order([grant_value(row) for row in rows.values()])
    for value in order:
        if not value.counts_at(at):
            rows[value.id].left = Decimal(0)
    return WalletBalance(wallet=wallet, grants=tuple(rows[value.id] for value in order))


def grant_value(row: WalletGrant) -> Grant:
    """The pure value of a stored grant."""
    return Grant(
        id=str(row.pk),
        kind=row.kind,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
