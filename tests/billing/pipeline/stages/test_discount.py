from __future__ import annotations

from dataclasses import replace

import pytest

from aforo.kernel.periods import Period
from billing.pipeline.stages import discount
from billing.pipeline.state import Contract, Coupon

from ..builders import MARCH, D, at, lines, state


def percent(value: str, code: str = "percent", **fields) -> Coupon:
    return Coupon(code=code, name=code, percent=D(value), **fields)


def amount(value: str, code: str = "amount") -> Coupon:
    return Coupon(code=code, name=code, amount=D(value))


def after(given, *coupons: Coupon, **fields):
    return discount.run(state(lines=given, coupons=coupons, **fields))


def taken(state) -> list[str]:
    return [str(each.amount) for each in state.discounts]


@pytest.mark.promise("P45")
def test_percent_fixed_and_clamped():
    assert taken(after(lines("100.00"), percent("10"))) == ["-10.00"]
    assert taken(after(lines("100.00"), amount("30"))) == ["-30.00"]
    assert taken(after(lines("100.00"), amount("250"))) == ["-100.00"]
    assert taken(after(lines("100.00"), percent("150"))) == ["-100.00"]
    assert taken(after((), amount("5"))) == ["0.00"]


@pytest.mark.promise("P45")
def test_the_contract_first_then_coupons_in_their_order_each_on_what_remains():
    deal = Contract(code="deal", term=MARCH, discount_percent=D(25))
    # 200.00: −50.00, then 10 % of 150.00, then 5.00.
    both = after(lines("200"), percent("10"), amount("5"), contracts=(deal,))
    assert [(each.kind, each.code) for each in both.discounts] == [
        ("CONTRACT", "deal"),
        ("COUPON", "percent"),
        ("COUPON", "amount"),
    ]
    assert taken(both) == ["-50.00", "-15.00", "-5.00"]


def test_a_discount_is_rounded_once_and_shared_by_largest_remainder():
    # 5 % of 135.70 is 6.785 -> 6.79; line by line it would be 6.78.
    both = after(lines("49.09", "49.72", "35.89", "1.00"), percent("5"))
    assert taken(both) == ["-6.79"]
    assert [str(line.discount) for line in both.lines] == ["-2.46", "-2.49", "-1.79", "-0.05"]
    # 10.00 over three equal lines: 3.34 + 3.33 + 3.33, the odd cent to the earliest.
    assert [str(line.discount) for line in after(lines("10", "10", "10"), amount("10")).lines] == [
        "-3.34",
        "-3.33",
        "-3.33",
    ]


def test_a_discount_of_a_capped_invoice_is_of_the_cap():
    cap = replace(lines("-20.00")[0], kind="CAP", code="deal")
    capped = after((*lines("60.00", "60.00"), cap), percent("10"))
    assert [str(line.discount) for line in capped.lines] == ["-5.00", "-5.00", "0.00"]
    # All of it: no more than the 100.00 that are left.
    assert taken(after((*lines("60.00", "60.00"), cap), amount("500"))) == ["-100.00"]


def test_a_coupon_may_be_limited_to_lines():
    limited = after(lines("60", "40"), percent("50", lines=("line2",)))
    assert [str(line.discount) for line in limited.lines] == ["0.00", "-20.00"]


def test_a_contract_that_covers_half_of_the_period_discounts_half_of_it():
    # 16 of 31 days: 31 % × 16 / 31 = 16 %.
    deal = Contract(code="deal", term=Period(at(16), MARCH.end), discount_percent=D(31))
    assert taken(after(lines("100"), contracts=(deal,))) == ["-16.00"]
