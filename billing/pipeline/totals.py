"""Totals: the invoice's figures, sums of what is printed."""

from __future__ import annotations

from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

from .state import BillingState, Line, Totals

COMMITMENT_KINDS = frozenset({"TRUE_UP", "CAP"})


def net_of(state: BillingState) -> Decimal:
    """Lines with their discounts: subtotal + commitment + discount."""
    return total(EXACT.add(line.amount, line.discount) for line in state.lines)


def totals_of(state: BillingState) -> Totals:
    """The figures as far as the stages have come.

    Lines 135.70, discount −6.79, tax 11.44: total 140.35.
    """
    tax_added = total(tax.amount for tax in state.taxes if not tax.is_inclusive)
    return Totals(
        subtotal=total(line.amount for line in state.lines if not _is_commitment(line)),
        commitment=total(line.amount for line in state.lines if _is_commitment(line)),
        discount=total(discount.amount for discount in state.discounts),
        tax=total(tax.amount for tax in state.taxes),
        tax_added=tax_added,
        total=EXACT.add(net_of(state), tax_added),
        wallet_amount=state.routing.wallet_amount,
        due_amount=state.routing.due_amount,
    )


def _is_commitment(line: Line) -> bool:
    """A true-up or cap of this period; what an earlier period's commitment is adjusted by is a line like any other."""
    return line.kind in COMMITMENT_KINDS and not line.adjusts
