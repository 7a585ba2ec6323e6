"""Wallets: prepaid money of a customer, one wallet a currency, put in by grants and booked in the ledger."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found
from aforo.tenancy.services.rows import invalid, row_save

from ..ledger.wallets import grant_book, reduction_book
from ..locks import customer_locked, wallet_locked, wallet_of_id_locked
from ..models import Wallet, WalletBurn, WalletGrant
from ..selectors.wallets import ZERO, grants_for
from .amounts import amount_check, amount_text
from .wallet_upkeep import brought_up


@transaction.atomic
def wallet_open(*, tenant: Tenant, customer: str, currency: str | None = None) -> Wallet:
    """The customer's wallet of a currency, made if there is none.

    currency: the customer's unless given. Locks the customer and the wallet.
    Raises Problem not_found or input_invalid.
    """
    row = customer_locked(tenant, customer)
    wallet = wallet_locked(tenant, row, currency or row.currency)
    if wallet is None:
        wallet = Wallet(tenant=tenant, customer=row, currency=currency or row.currency)
        row_save(wallet)
    return wallet


@transaction.atomic
def wallet_grant_add(
    *,
    tenant: Tenant,
    customer: str,
    amount: Decimal | str,
    kind: str = WalletGrant.Kind.CASH,
    currency: str | None = None,
    starts_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> WalletGrant:
    """Put money into a customer's wallet and book it.

    amount: major units, above zero. kind: CASH (paid in), PROMO or BONUS (given away: booked as a discount).
    starts_at: counts from then, now unless given. expires_at: until then, for ever unless given.
    Raises Problem not_found or input_invalid.

    50.00 CASH: cash 50.00, wallet_liability -50.00.
    """
    wallet = wallet_open(tenant=tenant, customer=customer, currency=currency)
    at = now()
    grant = WalletGrant(
        tenant=tenant,
        wallet=wallet,
        kind=kind,
        amount=amount,
        starts_at=starts_at or at,
        expires_at=expires_at,
        created_at=at,
    )
    row_save(grant)
    amount_check(grant.amount, wallet.currency, field="amount")
    grant_book(grant)
    return grant


@transaction.atomic
def grant_reduce(
    *, tenant: Tenant, wallet_id: UUID, grant_id: UUID, reason: str, amount: Decimal | None = None
) -> WalletGrant:
    """Take money of a grant back; the books show its entries the other way round.

    amount: above zero, at most what is neither burned nor held; all of that unless given, which voids the grant.
    Locks the wallet. Raises Problem not_found, input_invalid, or state_conflict where nothing is left to take.

    50.00 CASH of which 12.00 is burned and 5.00 held, voided: 33.00 out of the liability, into cash.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    at = now()
    brought_up(wallet, at)
    grants = grants_for(tenant, at=at).filter(wallet=wallet).select_related("wallet__customer", "tenant")
    grant = found(grants, pk=grant_id)
    if grant.free == ZERO:
        whole, held = (amount_text(figure, wallet.currency) for figure in (grant.amount, grant.held))
        raise Problem(
            "state_conflict", f"Nothing of this grant of {whole} is left to take back; {held} are held."
        )
    taken = grant.free if amount is None else amount
    if not ZERO < taken <= grant.free:
        free = amount_text(grant.free, wallet.currency)
        raise invalid("amount", f"is {trimmed(taken)}; {free} can be taken back.")
    amount_check(taken, wallet.currency, field="amount")
    burn = WalletBurn(
        tenant=tenant,
        grant=grant,
        kind=WalletBurn.Kind.REDUCTION,
        amount=taken,
        reason=reason,
        burned_at=at,
    )
    row_save(burn)
    reduction_book(burn)
    brought_up(wallet, at)
    return found(grants, pk=grant_id)
