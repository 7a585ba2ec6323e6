"""Wallets: prepaid money of a customer, one wallet a currency, put in by grants and booked in the ledger."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..ledger.journal import Entry, book
from ..locks import customer_locked, wallet_locked
from ..models import LedgerEntry, Wallet, WalletGrant
from .amounts import amount_check

Account = LedgerEntry.Account


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
    source = Account.CASH if grant.kind == WalletGrant.Kind.CASH else Account.DISCOUNT
    book(
        tenant=tenant,
        reference=f"wallet_grant:{grant.pk}",
        description=f"{grant.get_kind_display()}: wallet of {customer}",
        entries=(
            Entry(source, wallet.currency, grant.amount),
            Entry(Account.WALLET_LIABILITY, wallet.currency, -grant.amount),
        ),
        customer=wallet.customer,
    )
    return grant
