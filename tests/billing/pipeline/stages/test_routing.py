from __future__ import annotations

import pytest

from billing.pipeline.stages import routing
from billing.pipeline.state import Routing

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
