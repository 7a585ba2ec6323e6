"""Recurring grants: money given anew each month, once, whatever runs twice (services/wallet_upkeep.py gives it)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..locks import wallet_of_id_locked
from ..models import RecurringGrant
from ..selectors.wallets import recurring_grant_for
from .amounts import amount_check
from .wallet_upkeep import brought_up, next_month_at


@transaction.atomic
def recurring_grant_create(
    *,
    tenant: Tenant,
    wallet_id: UUID,
    amount: Decimal | str,
    starts_on: date,
    kind: str = RecurringGrant.Kind.PROMO,
    ends_on: date | None = None,
    is_kept: bool = False,
) -> RecurringGrant:
    """Give an amount each month, from a local day of the customer's that is not over; the first at once if it has begun.

    kind: PROMO or BONUS; what is paid in recurs by top-ups. ends_on: the first day without it.
    is_kept: what a month leaves unused stays, where it otherwise expires with the month.
    Locks the wallet. Raises Problem not_found or input_invalid.

    100.00 PROMO from 31 January: 31 January, 28 February, 31 March …
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    at = now()
    today = at.astimezone(wallet.customer.zone).date()
    if starts_on < today:
        raise invalid("starts_on", f"is {starts_on}; begin today, {today}, or later.")
    recurring = RecurringGrant(
        tenant=tenant,
        wallet=wallet,
        kind=kind,
        amount=amount,
        starts_on=starts_on,
        ends_on=ends_on,
        is_kept=is_kept,
    )
    recurring.next_at = next_month_at(recurring)
    row_save(recurring)
    amount_check(recurring.amount, wallet.currency, field="amount")
    brought_up(wallet, at)
    recurring.refresh_from_db()
    return recurring


@transaction.atomic
def recurring_grant_end(
    *, tenant: Tenant, wallet_id: UUID, recurring_id: UUID, ends_on: date
) -> RecurringGrant:
    """Give no month that begins on ends_on or later; what is given stays.

    Locks the wallet. Raises Problem not_found or input_invalid.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    brought_up(wallet, now())
    recurring = recurring_grant_for(tenant, wallet, recurring_id)
    recurring.ends_on = ends_on
    recurring.next_at = next_month_at(recurring)
    row_save(recurring)
    return recurring
