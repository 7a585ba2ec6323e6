"""Upkeep: what time alone does to a wallet. Whoever changes a wallet brings it up to the instant first, and a task does the
same every minute for those that nobody touches.

Each step is done for as long as there is something of it, under the wallet's lock; doing it twice does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet

from aforo.kernel.cycles import calendar_cycle
from aforo.kernel.decimals import total
from aforo.kernel.periods import local_midnight, month_later
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import tenant_of

from ..ledger.wallets import expiry_book, grant_book
from ..locks import wallet_of_id_locked
from ..models import (
    RecurringGrant,
    Wallet,
    WalletBurn,
    WalletGrant,
    WalletHold,
    WalletTopUp,
    WalletTopUpRule,
)
from ..selectors.wallets import ZERO, grants_for, wallet_balance_at


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
    """Give what recurs, end the holds that have run out, book what is left of expired grants, and ask for a top-up where
    too little is available. Lock the wallet first; call it before a change and after one.

    A hold that ran out did so at its own instant, whenever this is called; so did a grant.
    """
    _recurring_given(wallet, at)
    for hold in wallet.holds.filter(status=WalletHold.Status.PENDING, expires_at__lte=at):
        hold.status, hold.closed_at = WalletHold.Status.EXPIRED, hold.expires_at
        hold.save(update_fields=["status", "closed_at"])
    _expired_booked(wallet, at)
    _top_up_considered(wallet, at)


def _top_up_considered(wallet: Wallet, at: datetime) -> None:
    """A top-up where the rule's threshold is passed: one at a time, after the cool-off, within the month's maximum.

    Where it may not be asked for yet, the task comes back when it may.
    """
    rule = WalletTopUpRule.objects.filter(wallet=wallet, is_active=True).first()
    if rule is None:
        return
    retry_at = None
    is_low = wallet_balance_at(wallet, at).available < rule.threshold
    if is_low and not wallet.top_ups.filter(status=WalletTopUp.Status.PENDING).exists():
        retry_at = _top_up_allowed_at(rule, wallet, at)
        if retry_at <= at:
            retry_at = None
            WalletTopUp.objects.create(
                tenant=wallet.tenant, wallet=wallet, amount=rule.amount, is_automatic=True, requested_at=at
            )
    if rule.retry_at != retry_at:
        rule.retry_at = retry_at
        rule.save(update_fields=["retry_at"])


def _top_up_allowed_at(rule: WalletTopUpRule, wallet: Wallet, at: datetime) -> datetime:
    """The instant from which the rule may ask: now or later."""
    last = wallet.top_ups.order_by("-requested_at").first()
    allowed_at = last.requested_at + timedelta(minutes=rule.cool_off_minutes) if last else at
    zone = wallet.customer.zone
    month = calendar_cycle("month", max(at, allowed_at).astimezone(zone).date(), zone).period(0)
    asked = wallet.top_ups.exclude(status=WalletTopUp.Status.FAILED).filter(
        requested_at__gte=month.start, is_automatic=True
    )
    if rule.monthly_max is not None:
        month_total = total([rule.amount, *asked.values_list("amount", flat=True)])
        if month_total > rule.monthly_max:
            return month.end
    return max(at, allowed_at)


def _recurring_given(wallet: Wallet, at: datetime) -> None:
    """A grant for each month that has begun; none for one that is over and whose grant would have expired with it."""
    for recurring in wallet.recurring_grants.filter(next_at__lte=at):
        while recurring.next_at is not None and recurring.next_at <= at:
            starts_at, ends_at = recurring.next_at, month_start(recurring, recurring.months_given + 1)
            if recurring.is_kept or ends_at > at:
                grant = WalletGrant.objects.create(
                    tenant=wallet.tenant,
                    wallet=wallet,
                    kind=recurring.kind,
                    amount=recurring.amount,
                    starts_at=starts_at,
                    expires_at=None if recurring.is_kept else ends_at,
                    created_at=at,
                    recurring=recurring,
                )
                grant_book(grant)
            recurring.months_given += 1
            recurring.next_at = next_month_at(recurring)
        recurring.save(update_fields=["months_given", "next_at"])


def next_month_at(recurring: RecurringGrant) -> datetime | None:
    """When the month after those given begins; None from ends_on."""
    if recurring.ends_on and month_later(recurring.starts_on, recurring.months_given) >= recurring.ends_on:
        return None
    return month_start(recurring, recurring.months_given)


def month_start(recurring: RecurringGrant, number: int) -> datetime:
    """Where its month of this number begins, the first being 0: always counted from starts_on, so that no day drifts."""
    return local_midnight(month_later(recurring.starts_on, number), recurring.wallet.customer.zone)


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
    """Tenant and id of the wallets in which something has run out, is to be given, or may be asked for."""
    due: tuple[QuerySet, ...] = (
        WalletHold.objects.filter(status=WalletHold.Status.PENDING, expires_at__lte=at),
        WalletGrant.objects.filter(closed_at=None, expires_at__lte=at),
        RecurringGrant.objects.filter(next_at__lte=at),
        WalletTopUpRule.objects.filter(is_active=True, retry_at__lte=at),
    )
    found = {row for rows in due for row in rows.values_list("tenant_id", "wallet_id")}
    yield from sorted(found)
