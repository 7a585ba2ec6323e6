"""Settlement: the document's figures, the ledger entries, the wallet burns and the payment that posting will write.

Last, because it only books what the others decided; it decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

from ...burn import burn
from ..state import (
    ZERO,
    BillingState,
    LedgerEntry,
    PaymentIntent,
    Routing,
    Settlement,
    Totals,
    WalletBurn,
)
from ..totals import totals_of
from ..trace import Fact, explained

READS = frozenset({"currency", "as_of", "wallet", "lines", "discounts", "taxes", "routing"})
WRITES = frozenset({"settlement"})


def run(state: BillingState) -> BillingState:
    """Double entry: 10.00 discounted to 9.00 with 1.71 tax, 5.00 from the wallet:

    receivable 5.71, wallet liability 5.00, discount 1.00 against revenue −10.00, tax payable −1.71: zero in all.
    5.00 EUR from 5.43 USD: exchange 5.00 EUR, and wallet liability 5.43 against exchange −5.43 in USD: zero in each.
    """
    totals = totals_of(state)
    taken = _taken(state, "", state.routing.own_wallet_amount)
    for each in state.routing.exchanged:
        taken += _taken(state, each.currency, each.taken)
    entries = _entries(totals, state.routing)
    payments: tuple[PaymentIntent, ...] = ()
    if totals.due_amount > ZERO:
        payments = (PaymentIntent(payer=state.routing.payer, amount=totals.due_amount),)
    why = [
        explained("settlement", "entry", entry.account, amount=entry.amount, **_named(entry.currency))
        for entry in entries
    ]
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


def _taken(state: BillingState, currency: str, amount: Decimal) -> list[tuple[str, Decimal]]:
    """(grant id, amount) of what an amount takes from the wallet of a currency, empty for the invoice's."""
    funded = [each for each in state.wallet if each.currency == currency]
    taken, _ = burn(
        [each.grant for each in funded],
        {each.grant.id: each.balance for each in funded},
        amount=amount,
        at=state.as_of,
    )
    return list(taken)


def _named(currency: str) -> dict[str, Fact]:
    """The fact that an amount is of another currency than the invoice."""
    return {"currency": currency} if currency else {}


def _entries(totals: Totals, routing: Routing) -> tuple[LedgerEntry, ...]:
    revenue = EXACT.add(totals.subtotal, totals.commitment)
    # Prices that contain their tax earn what is left of them without it.
    revenue = EXACT.subtract(revenue, EXACT.subtract(totals.tax, totals.tax_added))
    booked: dict[str, Decimal] = {
        "receivable": totals.due_amount,
        "wallet_liability": routing.own_wallet_amount,
        "discount": EXACT.minus(totals.discount),
        "revenue": EXACT.minus(revenue),
        "tax_payable": EXACT.minus(totals.tax),
        "exchange": total(each.paid for each in routing.exchanged),
    }
    entries = [LedgerEntry(account=account, amount=amount) for account, amount in booked.items() if amount]
    for each in routing.exchanged:
        sides = (("wallet_liability", each.taken), ("exchange", EXACT.minus(each.taken)))
        entries += [
            LedgerEntry(account=account, amount=amount, currency=each.currency) for account, amount in sides
        ]
    return tuple(entries)
