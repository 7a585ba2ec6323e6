"""Each invariant holds of an empty state, and is broken by the state made to break it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from billing.pipeline.invariants import INVARIANTS, broken
from billing.pipeline.state import (
    BillableQuantity,
    CarriedUnits,
    DiscountLine,
    LedgerEntry,
    Quantity,
    QuotaCap,
    Routing,
    Settlement,
    WalletBurn,
)

from .builders import D, grant, lines, state


def discount(amount: str) -> tuple[DiscountLine, ...]:
    return (DiscountLine(kind="COUPON", code="c", description="C", amount=D(amount)),)


BROKEN = {
    "no quantity exceeds its cap": {
        "caps": (QuotaCap(charge="a", units=D(1)),),
        "quantities": (Quantity(charge="a", units=D(2), event_count=2),),
    },
    "free and billable units add up to the metered ones": {
        "billables": (BillableQuantity(charge="a", metered=D(3), free=D(1), billable=D(1), event_count=3),),
    },
    "what is printed is in minor units": {"lines": lines("0.001")},
    "the lines' shares add up to the discounts": {"lines": lines("5"), "discounts": discount("-1")},
    "discounts take no more than there is": {
        "lines": tuple(replace(line, discount=D(-6)) for line in lines("5")),
        "discounts": discount("-6"),
    },
    "wallet and due add up to the total": {
        "lines": lines("5"),
        "routing": Routing(payer="p", wallet_amount=D(1), due_amount=D(3)),
    },
    "ledger entries add up to zero in each currency": {
        "settlement": Settlement(entries=(LedgerEntry(account="revenue", amount=D(-1)),)),
    },
    "burns stay within their grants and add up to each wallet's part": {
        "lines": lines("5"),
        "wallet": (grant("g", "1"),),
        "routing": Routing(payer="p", wallet_amount=D(2), due_amount=D(3)),
        "settlement": Settlement(burns=(WalletBurn(grant="g", amount=D(2)),)),
    },
    "carried units are above zero": {"carried_out": (CarriedUnits(charge="a", units=D(1), periods_left=0),)},
}


def test_an_empty_state_breaks_nothing():
    assert broken(state()) == ()


@pytest.mark.parametrize("sentence", INVARIANTS)
def test_a_state_made_to_break_it_is_noticed(sentence):
    assert broken(state(**BROKEN[sentence])) == (sentence,)
