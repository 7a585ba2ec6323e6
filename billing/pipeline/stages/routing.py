"""Routing: who pays, and what part comes from the wallet.

After tax, because the wallet pays the whole invoice, tax included; before settlement, which books the split.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total
from aforo.kernel.money import round_minor

from ..state import ZERO, BillingState, Exchanged, Explanation, Issue, Routing
from ..totals import totals_of
from ..trace import explained, texts

READS = frozenset(
    {
        *("customer", "payer", "currency", "rounding", "as_of", "billing_mode", "wallet", "exchange_rates"),
        *("lines", "discounts", "taxes"),
    }
)
WRITES = frozenset({"routing"})


def run(state: BillingState) -> BillingState:
    """POSTPAID: all of it is due. PREPAID and HYBRID: the wallet first, the rest is due; of PREPAID with an issue.

    The wallet of the invoice's currency pays first, then those of other currencies, by their code.

    HYBRID 100.00 with 30.00 in the wallet: 30.00 from it, 70.00 due.
    """
    whole = totals_of(state).total
    available = _available(state, "")
    from_wallet = ZERO if state.billing_mode == "POSTPAID" else max(ZERO, min(whole, available))
    rest = ZERO if state.billing_mode == "POSTPAID" else EXACT.subtract(whole, from_wallet)
    exchanged, reasons, issues = _exchanged(state, rest)
    from_wallet = total([from_wallet, *(each.paid for each in exchanged)])
    due = EXACT.subtract(whole, from_wallet)
    if state.billing_mode == "PREPAID" and due > ZERO:
        issues = (
            *issues,
            Issue(
                severity="warning",
                code="wallet_short",
                sentence=f"The wallet covers {plain(from_wallet)} of {plain(whole)} {state.currency}; "
                "the rest is due.",
                facts=texts(total=whole, wallet=from_wallet, due=due),
            ),
        )
    why = explained(
        "routing",
        state.billing_mode.lower(),
        state.bearer,
        total=whole,
        available=available,
        wallet=from_wallet,
        due=due,
    )
    return replace(
        state,
        routing=Routing(
            payer=state.bearer, wallet_amount=from_wallet, due_amount=due, exchanged=tuple(exchanged)
        ),
        issues=(*state.issues, *issues),
        trace=(*state.trace, *reasons, why),
    )


def _exchanged(
    state: BillingState, rest: Decimal
) -> tuple[list[Exchanged], list[Explanation], tuple[Issue, ...]]:
    """What wallets of other currencies pay of the rest; a rate that is missing holds the invoice up.

    Both amounts are rounded once: what a wallet can pay down to the invoice's minor unit, what is taken of it half up to
    its own. 9.20 EUR of a wallet of 100.00 USD at 0.92: 10.00 USD are taken.
    """
    exchanged, reasons, issues = [], [], []
    rates = {each.currency: each for each in state.exchange_rates}
    for currency in sorted({each.currency for each in state.wallet if each.currency}):
        available = _available(state, currency)
        if rest <= ZERO or available <= ZERO:
            continue
        if currency not in rates:
            issues.append(
                Issue(
                    severity="pending",
                    code="exchange_rate_missing",
                    subject=currency,
                    sentence=f"There is no rate from {currency} to {state.currency} for {state.as_of:%Y-%m-%d}; record it, "
                    "and issue the invoice again.",
                    facts=texts(available=available, rest=rest),
                )
            )
            continue
        rate = rates[currency]
        worth = rounded(EXACT.multiply(available, rate.rate), places=minor_units(state.currency), mode="down")
        paid = min(rest, worth)
        taken = round_minor(EXACT.divide(paid, rate.rate), currency, state.rounding)
        # Too little to be taken in whole minor units pays nothing.
        if min(paid, taken) <= ZERO:
            continue
        exchanged.append(Exchanged(currency=currency, taken=taken, paid=paid))
        rest = EXACT.subtract(rest, paid)
        reasons.append(
            explained(
                "routing",
                "exchanged",
                currency,
                available=available,
                rate=rate.rate,
                on=rate.on.isoformat(),
                taken=taken,
                paid=paid,
            )
        )
    return exchanged, reasons, tuple(issues)


def _available(state: BillingState, currency: str) -> Decimal:
    """What the wallet of a currency (empty: the invoice's) can pay: grants may be finer than its minor unit."""
    return rounded(
        total(
            each.balance
            for each in state.wallet
            if each.currency == currency and each.grant.counts_at(state.as_of)
        ),
        places=minor_units(currency or state.currency),
        mode="down",
    )
