from __future__ import annotations

import pytest

from billing.models import LedgerEntry as LedgerRow
from billing.pipeline import run
from billing.pipeline.state import Coupon, PaymentIntent, WalletBurn

from ..builders import D, at, fee, grant, state, taxed


def settled(**fields):
    return run(state(fee("10"), **fields)).settlement


def booked(settlement) -> dict[str, str]:
    assert sum(entry.amount for entry in settlement.entries) == 0
    assert {entry.account for entry in settlement.entries} <= set(LedgerRow.Account.values)
    return {entry.account: str(entry.amount) for entry in settlement.entries}


@pytest.mark.promise("P48")
def test_every_part_is_booked_and_adds_up_to_zero():
    # 10.00 − 1.00 = 9.00, + 19 % = 10.71, of which the wallet pays 5.00.
    found = settled(
        coupons=(Coupon(code="ten", name="Ten", percent=D(10)),),
        tax_profile=taxed("19"),
        billing_mode="HYBRID",
        wallet=(grant("g", "5"),),
    )
    assert booked(found) == {
        "receivable": "5.71",
        "wallet_liability": "5.00",
        "discount": "1.00",
        "revenue": "-10.00",
        "tax_payable": "-1.71",
    }
    assert found.payments == (PaymentIntent(payer="cust_abc", amount=D("5.71")),)


def test_prices_that_contain_their_tax_earn_the_rest():
    # 10.00 contain 10.00 × 19 / 119 = 1.60 (1.5966…).
    assert booked(settled(tax_profile=taxed("19", is_inclusive=True))) == {
        "receivable": "10.00",
        "revenue": "-8.40",
        "tax_payable": "-1.60",
    }


def test_grants_burn_in_their_order():
    found = settled(
        billing_mode="HYBRID",
        wallet=(grant("cash", "5"), grant("gone", "5", "PROMO", at(2)), grant("promo", "3", "PROMO")),
    )
    assert found.burns == (WalletBurn(grant="promo", amount=D(3)), WalletBurn(grant="cash", amount=D(5)))


def test_nothing_due_asks_for_no_payment():
    assert settled(coupons=(Coupon(code="all", name="All", percent=D(100)),)).payments == ()
    assert run(state()).settlement.entries == ()
