"""Settlement: the document's figures, the ledger entries, the wallet burns and the payment that posting will write.

Last, because it only books what the others decided; it decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT

from ...burn import burn
from ..state import (
    ZERO,
    BillingState,
    LedgerEntry,
    PaymentIntent,
    Settlement,
    Totals,
    WalletBurn,
)
from ..totals import totals_of
from ..trace import explained

READS = frozenset({"currency", "as_of", "wallet", "lines", "discounts", "taxes", "routing"})
WRITES = frozenset({"settlement"})


def run(state: BillingState) -> BillingState:
    """Double entry: 10.00 discounted to 9.00 with 1.71 tax, 5.00 from the wallet:

    receivable 5.71, wallet liability 5.00, discount 1.00 against revenue −10.00, tax payable −1.71: zero in all.
    """
    totals = totals_of(state)
    taken, _ = burn(
        [each.grant for each in state.wallet],
        {each.grant.id: each.balance for each in state.wallet},
        amount=totals.wallet_amount,
        at=state.as_of,
    )
    entries = _entries(totals)
    payments: tuple[PaymentIntent, ...] = ()
    if totals.due_amount > ZERO:
        payments = (PaymentIntent(payer=state.routing.payer, amount=totals.due_amount),)
    why = [explained("settlement", "entry", entry.account, amount=entry.amount) for entry in entries]
    why += [explained("settlement", "burn", grant, amount=amount) for grant, amount in taken]
    return replace(
        state,
        settlement=Settlement(
            totals=totals,
            entries=entries,
            burns=tuple(WalletBurn(grant=grant, amount=amount) for grant, amount in taken),
            payments=payments,
        ),
        trace=(*state.trace, *why),
    )


def _entries(totals: Totals) -> tuple[LedgerEntry, ...]:
    revenue = EXACT.add(totals.subtotal, totals.commitment)
    # Prices that contain their tax earn what is left of them without it.
    revenue = EXACT.subtract(revenue, EXACT.subtract(totals.tax, totals.tax_added))
    booked: dict[str, Decimal] = {
        "receivable": totals.due_amount,
        "wallet_liability": totals.wallet_amount,
        "discount": EXACT.minus(totals.discount),
        "revenue": EXACT.minus(revenue),
        "tax_payable": EXACT.minus(totals.tax),
    }
    return tuple(LedgerEntry(account=account, amount=amount) for account, amount in booked.items() if amount)
