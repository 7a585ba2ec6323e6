from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pipeline.invariants import broken
from billing.pipeline.stages import routing, settlement
from billing.pipeline.state import Exchanged, ExchangeRate, Routing

from ..builders import D, at, codes, grant, lines, state


def after(mode: str, *wallet, total: str = "100", **fields):
    return routing.run(state(lines=lines(total), billing_mode=mode, wallet=wallet, **fields))


def split(state) -> tuple[int, int]:
    return int(state.routing.wallet_amount), int(state.routing.due_amount)


@pytest.mark.promise("P47")
def test_the_split_is_the_modes():
    assert split(after("POSTPAID", grant("a", "30"))) == (0, 100)
    assert split(after("HYBRID", grant("a", "30"))) == (30, 70)
    assert split(after("HYBRID", grant("a", "300"))) == (100, 0)
    assert split(after("PREPAID", grant("a", "100"))) == (100, 0)


@pytest.mark.promise("P47")
def test_a_prepaid_wallet_that_is_too_small_is_said():
    short = after("PREPAID", grant("a", "30"))
    assert (split(short), codes(short)) == ((30, 70), ["wallet_short"])
    assert short.issues[0].sentence == "The wallet covers 30.00 of 100 USD; the rest is due."
    assert codes(after("HYBRID", grant("a", "30"))) == []


def test_an_expired_grant_pays_nothing():
    assert split(after("HYBRID", grant("a", "30", expires_at=at(31)), grant("b", "5"))) == (5, 95)


def test_a_wallet_pays_in_minor_units():
    assert after("HYBRID", grant("a", "30.0099")).routing.wallet_amount == D("30.00")


def test_a_parent_pays():
    assert after("POSTPAID", payer="parent").routing.payer == "parent"
    assert after("POSTPAID").routing == Routing(payer="cust_abc", due_amount=D(100))


def dollars(grant_id: str, balance: str, currency: str = "USD"):
    """A grant of a wallet in another currency than the invoice's euros."""
    return replace(grant(grant_id, balance), currency=currency)


def in_euros(total: str, *wallet, rates=(("USD", "0.92"),), mode: str = "HYBRID"):
    recorded = tuple(
        ExchangeRate(currency=currency, rate=D(rate), on=date(2026, 3, 31)) for currency, rate in rates
    )
    return after(mode, *wallet, total=total, currency="EUR", exchange_rates=recorded)


@pytest.mark.promise("P47")
def test_another_currencys_wallet_pays_after_the_invoices_own():
    # 100.00 EUR: 30.00 from the euros; 70.00 / 0.92 = 76.0869... USD, 76.09 of the 80.00.
    routed = in_euros("100", grant("eur", "30"), dollars("usd", "80")).routing
    assert (routed.wallet_amount, routed.due_amount) == (D(100), D(0))
    assert routed.exchanged == (Exchanged(currency="USD", taken=D("76.09"), paid=D("70.00")),)
    assert routed.own_wallet_amount == D("30.00")


def test_what_a_wallet_is_worth_is_rounded_down_and_never_overdrawn():
    # 10.99 USD are 10.1108 EUR: 10.11 are paid, for 10.99 (10.11 / 0.92 = 10.989...).
    routed = in_euros("100", dollars("usd", "10.99")).routing
    assert (routed.exchanged[0].taken, routed.exchanged[0].paid, routed.due_amount) == (
        D("10.99"),
        D("10.11"),
        D("89.89"),
    )


def test_several_currencies_pay_by_their_code():
    routed = in_euros(
        "100", dollars("usd", "50"), dollars("gbp", "50", "GBP"), rates=(("GBP", "1.15"), ("USD", "0.92"))
    ).routing
    # 57.50 EUR of the pounds, then 42.50 / 0.92 = 46.20 USD.
    assert [(each.currency, each.taken, each.paid) for each in routed.exchanged] == [
        ("GBP", D("50.00"), D("57.50")),
        ("USD", D("46.20"), D("42.50")),
    ]


def test_a_rate_that_is_missing_holds_the_invoice_up_and_one_that_is_not_needed_does_not():
    waiting = in_euros("100", dollars("usd", "50"), rates=())
    assert (codes(waiting), waiting.is_blocked) == (["exchange_rate_missing"], True)
    assert waiting.issues[0].sentence == (
        "There is no rate from USD to EUR for 2026-04-01; record it, and issue the invoice again."
    )
    paid = in_euros("100", grant("eur", "100"), dollars("usd", "50"), rates=())
    assert (codes(paid), split(paid)) == ([], (100, 0))
    assert codes(in_euros("100", dollars("usd", "50"), rates=(), mode="POSTPAID")) == []


@given(
    whole=st.decimals("0.01", 10**6, places=2),
    own=st.decimals(0, 10**5, places=2),
    others=st.lists(
        st.tuples(st.decimals("0.01", 10**6, places=2), st.decimals("0.0001", 500, places=6)), max_size=3
    ),
)
def test_every_currency_balances_and_no_wallet_is_overdrawn(whole, own, others):
    currencies = ("GBP", "JPY", "USD")
    wallet = [grant("own", str(own))] if own else []
    wallet += [dollars(c, str(amount), c) for c, (amount, _) in zip(currencies, others, strict=False)]
    rates = [(c, str(rate)) for c, (_, rate) in zip(currencies, others, strict=False)]
    settled = settlement.run(in_euros(str(whole), *wallet, rates=rates))
    assert broken(settled) == ()
    routed = settled.routing
    assert routed.wallet_amount + routed.due_amount == whole
    assert routed.due_amount >= 0
