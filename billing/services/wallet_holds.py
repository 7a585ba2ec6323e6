"""Holds: money of a wallet set aside for one use, then settled, released or expired.

    PENDING ─settle─▶ SETTLED     a part burned, the rest free again
        ├───release─▶ RELEASED
        └──expires_at─▶ EXPIRED

What is held is chosen in burn order when the hold is made, and stays the hold's own: settling never falls short, also
where a grant has expired meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, row_check, row_save

from ..burn import burn
from ..ledger.wallets import hold_book
from ..locks import wallet_of_id_locked
from ..models import Wallet, WalletBurn, WalletHold, WalletHoldPart
from ..selectors.wallets import ZERO, grant_value, hold_for, wallet_balance_at
from .amounts import amount_check, amount_text
from .wallet_upkeep import brought_up

Status = WalletHold.Status
HELD_FOR = timedelta(hours=1)


@transaction.atomic
def wallet_reserve(
    *,
    tenant: Tenant,
    wallet_id: UUID,
    amount: Decimal | str,
    reference: str,
    expires_at: datetime | None = None,
) -> WalletHold:
    """Set an amount of a wallet aside; of many who ask at once, as many are served as there is money for.

    amount: major units, above zero. reference: the caller's own name of the use; asked again with the same amount, it
    gives the hold of the first time, as it stands now. expires_at: an hour from now unless given.
    Locks the wallet. Raises Problem not_found, input_invalid, idempotency_reused (another amount under the reference),
    or wallet_insufficient with what is asked and available.

    50 callers for 1.00 each on 30.00: 30 holds and 20 refusals.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    at = now()
    brought_up(wallet, at)
    hold = WalletHold(
        tenant=tenant,
        wallet=wallet,
        reference=reference,
        amount=amount,
        created_at=at,
        expires_at=expires_at or at + HELD_FOR,
    )
    row_check(hold, exclude=(), place="")
    amount_check(hold.amount, wallet.currency, field="amount")
    known = wallet.holds.filter(reference=reference).first()
    if known is not None:
        return _known(known, hold.amount)
    row_save(hold)
    _parts_chosen(wallet, hold)
    brought_up(wallet, at)
    return hold


@transaction.atomic
def hold_settle(
    *, tenant: Tenant, wallet_id: UUID, hold_id: UUID, amount: Decimal | None = None
) -> WalletHold:
    """Burn what a hold sets aside, or a part of it; the rest is free again. Booked as revenue.

    amount: above zero, at most the hold's; all of it unless given. Settling again for the same amount changes nothing.
    Locks the wallet. Raises Problem not_found, input_invalid, or state_conflict for a hold that has ended otherwise.

    10.00 held of PROMO 4.00 and CASH 6.00, settled for 5.00: PROMO 4.00 and CASH 1.00 are burned, 5.00 are free.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    at = now()
    brought_up(wallet, at)
    hold = hold_for(tenant, wallet, hold_id)
    settled = hold.amount if amount is None else amount
    if hold.status == Status.SETTLED and hold.settled_amount == settled:
        return hold
    _pending_check(hold)
    if not ZERO < settled <= hold.amount:
        raise invalid("amount", f"is {trimmed(settled)}; the hold is {_text(hold, hold.amount)}.")
    amount_check(settled, wallet.currency, field="amount")
    parts = {str(part.grant_id): part for part in hold.parts.select_related("grant")}
    # Those that have expired since count for what they set aside: as of then.
    taken, _ = burn(
        [grant_value(part.grant) for part in parts.values()],
        {grant_id: part.amount for grant_id, part in parts.items()},
        amount=settled,
        at=hold.created_at,
    )
    _closed(hold, Status.SETTLED, at, settled)
    burns = WalletBurn.objects.bulk_create(
        WalletBurn(
            tenant=tenant, grant_id=grant_id, kind=WalletBurn.Kind.HOLD, hold=hold, amount=part, burned_at=at
        )
        for grant_id, part in taken
    )
    hold.wallet = wallet
    hold_book(hold, burns)
    brought_up(wallet, at)
    return hold


@transaction.atomic
def hold_release(*, tenant: Tenant, wallet_id: UUID, hold_id: UUID) -> WalletHold:
    """Let go of what a hold sets aside; one that holds nothing any more, released or expired, stays as it is.

    Locks the wallet. Raises Problem not_found, or state_conflict for a settled hold.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    at = now()
    brought_up(wallet, at)
    hold = hold_for(tenant, wallet, hold_id)
    if hold.status in {Status.RELEASED, Status.EXPIRED}:
        return hold
    _pending_check(hold)
    _closed(hold, Status.RELEASED, at)
    brought_up(wallet, at)
    return hold


def _known(known: WalletHold, amount: Decimal) -> WalletHold:
    """The hold of this reference, if the same is asked for."""
    if known.amount != amount:
        raise Problem(
            "idempotency_reused",
            f"The reference {known.reference!r} is a hold of {_text(known, known.amount)}, not of {_text(known, amount)}.",
        )
    return known


def _parts_chosen(wallet: Wallet, hold: WalletHold) -> None:
    """Set the amount aside, in burn order, from what no other hold has."""
    at = hold.created_at
    balance = wallet_balance_at(wallet, at)
    taken, uncovered = burn(
        [grant_value(grant) for grant in balance.grants],
        {str(grant.pk): grant.free for grant in balance.grants},
        amount=hold.amount,
        at=at,
    )
    if uncovered:
        facts = {
            name: amount_text(figure, wallet.currency)
            for name, figure in (
                ("asked", hold.amount),
                ("available", balance.available),
                ("balance", balance.balance),
                ("held", balance.held),
            )
        }
        raise Problem(
            "wallet_insufficient",
            f"{facts['asked']} {wallet.currency} are asked for, and {facts['available']} are available: "
            f"{facts['balance']} less {facts['held']} held.",
            **facts,
            currency=wallet.currency,
        )
    WalletHoldPart.objects.bulk_create(
        WalletHoldPart(tenant=wallet.tenant, hold=hold, grant_id=grant_id, amount=part)
        for grant_id, part in taken
    )


def _pending_check(hold: WalletHold) -> None:
    if hold.status == Status.SETTLED:
        settled = _text(hold, hold.settled_amount)
        raise Problem("state_conflict", f"The hold {hold.reference!r} is settled for {settled}.")
    if hold.status != Status.PENDING:
        raise Problem(
            "state_conflict",
            f"The hold {hold.reference!r} is {hold.status} since {instant_text(hold.closed_at)} and holds nothing; "
            "reserve again.",
        )


def _closed(hold: WalletHold, status: str, at: datetime, settled: Decimal = ZERO) -> None:
    hold.status, hold.closed_at, hold.settled_amount = status, at, settled
    hold.save(update_fields=["status", "closed_at", "settled_amount"])


def _text(hold: WalletHold, amount: Decimal) -> str:
    return amount_text(amount, hold.wallet.currency)
