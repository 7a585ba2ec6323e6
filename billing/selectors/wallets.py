"""The doors to wallets: what was put in, what is set aside, what is left, and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from aforo.kernel.decimals import EXACT, total
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..burn import Grant, burn_order
from ..models import (
    RecurringGrant,
    Wallet,
    WalletBurn,
    WalletGrant,
    WalletHold,
    WalletHoldPart,
    WalletMovement,
    WalletTopUp,
    WalletTopUpRule,
)
from ..models.fields import AmountField

ZERO = Decimal(0)


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


def grants_for(tenant: Tenant, *, at: datetime) -> QuerySet[WalletGrant]:
    """Each with `left`, its amount minus what was burned of it; `held`, what holds set aside of that at an instant; and
    `free`, the difference. Whether it counts then is not asked.
    """
    burned = WalletBurn.objects.of(tenant)
    held = WalletHoldPart.objects.of(tenant).filter(
        hold__status=WalletHold.Status.PENDING, hold__expires_at__gt=at
    )
    return (
        WalletGrant.objects.of(tenant)
        .annotate(left=F("amount") - _of_grant(burned), held=_of_grant(held))
        .annotate(free=F("left") - F("held"))
    )


def _of_grant(rows: QuerySet) -> Coalesce:
    """The sum of their amounts for the grant of the query around."""
    sums = rows.filter(grant=OuterRef("pk")).values("grant").annotate(sum=Sum("amount")).values("sum")
    return Coalesce(Subquery(sums), ZERO, output_field=AmountField())


@dataclass(frozen=True, slots=True)
class WalletBalance:
    """A wallet at an instant, major units.

    grants: all of them, in burn order, with `left` and `held` as they count then: nothing before a grant starts, and of
    one that has expired what a hold sets aside. balance: what is left in all. held: what of it is set aside.
    available: the rest, which a hold or an invoice can take.
    """

    wallet: Wallet
    grants: tuple[WalletGrant, ...]

    @property
    def balance(self) -> Decimal:
        return total(each.left for each in self.grants)

    @property
    def held(self) -> Decimal:
        return total(each.held for each in self.grants)

    @property
    def available(self) -> Decimal:
        return EXACT.subtract(self.balance, self.held)


def wallet_balance_at(wallet: Wallet, at: datetime) -> WalletBalance:
    """What is left of each grant, in the order in which they pay: PROMO, BONUS, CASH, soonest expiry, oldest.

    at: now or later. All that was burned is gone, also by a clock that is ahead; what was there in the past, the
    statement tells (`movements_until`).

    PROMO 15.00 of which 5.00 was burned and CASH 50.00 of which 20.00 is held: balance 60.00, available 40.00.
    """
    rows = {str(row.pk): row for row in grants_for(wallet.tenant, at=at).filter(wallet=wallet)}
    order = burn_order([grant_value(row) for row in rows.values()])
    for value in order:
        if not value.counts_at(at):
            rows[value.id].left = rows[value.id].held
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


def holds_for(tenant: Tenant) -> QuerySet[WalletHold]:
    """With wallet."""
    return WalletHold.objects.of(tenant).select_related("wallet")


def holds_listed(
    tenant: Tenant, wallet: Wallet, *, status: str | None = None, reference: str | None = None
) -> QuerySet[WalletHold]:
    return holds_for(tenant).filter(wallet=wallet, **given(status=status, reference=reference))


def hold_for(tenant: Tenant, wallet: Wallet, hold_id: UUID) -> WalletHold:
    """Raises Problem not_found."""
    return found(holds_for(tenant).filter(wallet=wallet), pk=hold_id)


def movements_until(
    wallet: Wallet, at: datetime, *, kind: str | None = None, since: datetime | None = None
) -> QuerySet[WalletMovement]:
    """The wallet's statement: what has counted by an instant, each with the balance after it."""
    rows = WalletMovement.objects.of(wallet.tenant).select_related("wallet", "invoice", "hold", "grant")
    return rows.filter(wallet=wallet, at__lte=at, **given(kind=kind, at__gte=since))


def top_ups_for(tenant: Tenant) -> QuerySet[WalletTopUp]:
    """With wallet."""
    return WalletTopUp.objects.of(tenant).select_related("wallet")


def top_ups_listed(tenant: Tenant, wallet: Wallet, *, status: str | None = None) -> QuerySet[WalletTopUp]:
    return top_ups_for(tenant).filter(wallet=wallet, **given(status=status))


def top_up_for(tenant: Tenant, wallet: Wallet, top_up_id: UUID) -> WalletTopUp:
    """Raises Problem not_found."""
    return found(top_ups_for(tenant).filter(wallet=wallet), pk=top_up_id)


def top_up_rule_for(tenant: Tenant, wallet: Wallet) -> WalletTopUpRule:
    """Raises Problem not_found where the wallet has none."""
    return found(WalletTopUpRule.objects.of(tenant).select_related("wallet"), pk=wallet.pk)


def recurring_grants_for(tenant: Tenant, wallet: Wallet) -> QuerySet[RecurringGrant]:
    """With wallet and customer."""
    return RecurringGrant.objects.of(tenant).select_related("wallet__customer").filter(wallet=wallet)


def recurring_grant_for(tenant: Tenant, wallet: Wallet, recurring_id: UUID) -> RecurringGrant:
    """Raises Problem not_found."""
    return found(recurring_grants_for(tenant, wallet), pk=recurring_id)
