"""What the journal books for a wallet: money put in, and money taken out by anything but an invoice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aforo.kernel.decimals import EXACT, total

from ..models import LedgerEntry, Wallet, WalletBurn, WalletGrant, WalletHold
from .journal import Entry, book

Account = LedgerEntry.Account


def source_of(grant: WalletGrant) -> str:
    """The account that a grant's money came from: cash, or a discount where it was given away."""
    return Account.CASH if grant.kind == WalletGrant.Kind.CASH else Account.DISCOUNT


def grant_book(grant: WalletGrant) -> None:
    """50.00 CASH: cash 50.00, wallet_liability -50.00."""
    wallet = grant.wallet
    book(
        tenant=grant.tenant,
        reference=f"wallet_grant:{grant.pk}",
        description=f"{grant.get_kind_display()}: wallet of {wallet.customer.external_id}",
        entries=(
            Entry(source_of(grant), wallet.currency, grant.amount),
            Entry(Account.WALLET_LIABILITY, wallet.currency, -grant.amount),
        ),
        customer=wallet.customer,
        booked_at=grant.created_at,
    )


def hold_book(hold: WalletHold, burns: Sequence[WalletBurn]) -> None:
    """5.00 settled: wallet_liability 5.00, revenue -5.00; it is earned, and no invoice bills it."""
    _out(
        hold.wallet,
        burns,
        f"wallet_hold:{hold.pk}",
        f"Hold {hold.reference}"[:200],
        Account.REVENUE,
        hold.closed_at,
    )


def expiry_book(burn: WalletBurn) -> None:
    """3.00 left of a grant that has expired: wallet_liability 3.00, breakage -3.00."""
    said = f"Expired: {burn.grant}, wallet of {burn.grant.wallet}"
    _out(burn.grant.wallet, [burn], f"wallet_expiry:{burn.pk}", said, Account.BREAKAGE, burn.burned_at)


def reduction_book(burn: WalletBurn) -> None:
    """The grant's own entries the other way round, as far as it is taken back."""
    said = f"Taken back: {burn.grant}, wallet of {burn.grant.wallet}"
    _out(
        burn.grant.wallet, [burn], f"wallet_reduction:{burn.pk}", said, source_of(burn.grant), burn.burned_at
    )


def _out(
    wallet: Wallet,
    burns: Sequence[WalletBurn],
    reference: str,
    description: str,
    to: str,
    booked_at: datetime,
) -> None:
    amount = total(burn.amount for burn in burns)
    book(
        tenant=wallet.tenant,
        reference=reference,
        description=description,
        entries=(
            Entry(Account.WALLET_LIABILITY, wallet.currency, amount),
            Entry(to, wallet.currency, EXACT.minus(amount)),
        ),
        customer=wallet.customer,
        booked_at=booked_at,
    )
