"""Routing: who pays, and what part comes from the wallet.

After tax, because the wallet pays the whole invoice, tax included; before settlement, which books the split.
"""

from __future__ import annotations

from dataclasses import replace

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total

from ..state import ZERO, BillingState, Issue, Routing
from ..totals import totals_of
from ..trace import explained, texts

READS = frozenset(
    {"customer", "payer", "currency", "as_of", "billing_mode", "wallet", "lines", "discounts", "taxes"}
)
WRITES = frozenset({"routing"})


def run(state: BillingState) -> BillingState:
    """POSTPAID: all of it is due. PREPAID and HYBRID: the wallet first, the rest is due; of PREPAID with an issue.

    HYBRID 100.00 with 30.00 in the wallet: 30.00 from it, 70.00 due.
    """
    whole = totals_of(state).total
    # Grants may be finer than the currency's minor unit; what is paid is not.
    available = rounded(
        total(each.balance for each in state.wallet if each.grant.counts_at(state.as_of)),
        places=minor_units(state.currency),
        mode="down",
    )
    from_wallet = ZERO if state.billing_mode == "POSTPAID" else max(ZERO, min(whole, available))
    due = EXACT.subtract(whole, from_wallet)
    issues: tuple[Issue, ...] = ()
    if state.billing_mode == "PREPAID" and due > ZERO:
        issues = (
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
        routing=Routing(payer=state.bearer, wallet_amount=from_wallet, due_amount=due),
        issues=(*state.issues, *issues),
        trace=(*state.trace, why),
    )
