"""Closed periods billed again: the difference at their own prices, on an invoice that never falls below zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.decimals import total
from aforo.kernel.periods import Period
from billing import proof
from billing.pipeline import run
from billing.pipeline.adjustments import marks_kept
from billing.pipeline.state import (
    INPUTS,
    BilledLine,
    BillingInput,
    BillingState,
    ClosedPeriod,
    Contract,
    Coupon,
    UsageCorrection,
    UsageMark,
)
from billing.pricing.terms import Terms, Tier

from .builders import MARCH, D, calls, codes, facts, fee, hour, state, taxed, usage

APRIL = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))


def used(count: int, *charges, **fields) -> BillingState:
    """March with so many calls."""
    return state(*(charges or (calls(),)), usage=(usage(hour(count)),), **fields)


def closed(was: BillingState, now: BillingState, *corrections: UsageCorrection) -> ClosedPeriod:
    """A period as it was invoiced, and as it is known now."""
    return ClosedPeriod(
        invoice="INV-000001",
        rule_version=now.rule_version,
        input=BillingInput(**{name: getattr(now, name) for name in INPUTS}),
        billed=tuple(
            BilledLine(
                kind=line.kind, code=line.code, quantity=line.quantity, amount=line.amount + line.discount
            )
            for line in run(was).lines
        ),
        corrections=corrections,
    )


FIFTY = fee("50.00")


def april(*reopened: ClosedPeriod, charges=(FIFTY,), **fields) -> BillingState:
    return run(state(*charges, period=APRIL, cycle=APRIL, closed=reopened, **fields))


def adjusting(of: BillingState) -> list[tuple[str, str, str]]:
    return [(line.code, str(line.quantity), str(line.amount)) for line in of.lines if line.adjusts]


AMENDED = UsageCorrection(id="c1", text="amended k1", meters=("api.call",))


def test_fewer_calls_are_given_back_and_the_line_names_the_correction():
    # 1,000 x 0.01 = 10.00 were invoiced; 900 x 0.01 = 9.00.
    billed = april(closed(used(1000), used(900), AMENDED))

    assert adjusting(billed) == [("calls", "-100", "-1.00")]
    line = billed.lines[-1]
    assert line.description == "Calls, 2026-03-01 to 2026-03-31 (INV-000001): amended k1"
    assert (line.kind, line.adjusts, line.corrections) == ("USAGE_FEE", "INV-000001", ("c1",))
    assert (billed.settlement.totals.subtotal, billed.settlement.totals.total) == (D("49.00"), D("49.00"))
    assert facts(billed, "rating.adjusted") == [
        {"invoice": "INV-000001", "billed": "10", "now": "9", "units": "-100", "amount": "-1"}
    ]


def test_more_calls_without_a_correction_are_late_usage():
    billed = april(closed(used(1000), used(1001)))
    assert adjusting(billed) == [("calls", "1", "0.01")]
    assert billed.lines[-1].description.endswith("(INV-000001): late usage")


def test_the_closed_periods_own_tiers_price_the_difference():
    # 0.02 up to 500, then 0.01: in March 600 + 100 late calls are 100 x 0.01 more, whatever April has used.
    tiered = calls(
        terms=Terms(
            model="GRADUATED",
            tiers=(Tier(up_to=D(500), unit_price=D("0.02")), Tier(up_to=None, unit_price=D("0.01"))),
        )
    )
    now = replace(calls(), terms=Terms(model="PER_UNIT", unit_price=D("9.99")))
    billed = april(closed(used(600, tiered), used(700, tiered)), charges=(FIFTY, now))
    assert adjusting(billed) == [("calls", "100", "1.00")]


def test_included_units_and_an_unchanged_period_leave_no_line():
    # 1,000 are included: 700 and 800 are both free.
    free = calls(included="1000")
    assert adjusting(april(closed(used(700, free), used(800, free)))) == []
    assert adjusting(april(closed(used(700), used(700), AMENDED))) == []


def test_a_minimum_and_a_discount_of_the_closed_period_are_its_own():
    # Minimum 100.00 and 10 % off: 80.00 + 20.00 − 10.00 = 90.00. With 30.00 more: 110.00 − 11.00 = 99.00.
    terms = {"contracts": (Contract(code="deal", term=MARCH, minimum_amount=D(100), discount_percent=D(10)),)}
    reopened = closed(used(8000, **terms), used(11000, **terms))

    billed = april(reopened, contracts=(Contract(code="new", term=APRIL, minimum_amount=D(80)),))

    # The line grows from 72.00 to 99.00, the true-up of 18.00 goes; April's minimum of 80.00 is of April alone.
    assert adjusting(billed) == [("calls", "3000", "27.00"), ("deal", "-1", "-18.00")]
    totals = billed.settlement.totals
    assert (totals.subtotal, totals.commitment, totals.total) == (D("59.00"), D("30.00"), D("89.00"))


def test_this_periods_discounts_take_no_part_and_its_taxes_do():
    # 50.00 less 10 % is 45.00; with −1.00 it is 44.00; 19 % of it is 8.36.
    billed = april(
        closed(used(1000), used(900)),
        coupons=(Coupon(code="ten", name="Ten", percent=D(10)),),
        tax_profile=taxed("19"),
    )
    totals = billed.settlement.totals
    assert (totals.subtotal, totals.discount, totals.tax, totals.total) == (
        D("49.00"),
        D("-5.00"),
        D("8.36"),
        D("52.36"),
    )


def test_a_credit_beyond_the_invoice_is_left_for_the_next():
    # April is 5.00, of which 10 % are discounted: 4.50 of a credit of 10.00 are given, and 5.50 are left.
    reopened = closed(used(1000), used(0), AMENDED)
    marks = tuple(UsageMark(start=period.start, events=0, correction=1) for period in (APRIL, MARCH))

    billed = april(
        reopened,
        charges=(fee("5.00"),),
        coupons=(Coupon(code="ten", name="Ten", percent=D(10)),),
        marks=marks,
    )

    assert adjusting(billed) == [("calls", "-1000", "-4.50")]
    assert billed.settlement.totals.total == 0
    assert codes(billed) == ["credit_carried"]
    assert facts(billed, "discount.carried") == [{"credit": "-10", "given": "-4.5", "left": "-5.5"}]
    # March is looked at again by the invoice after.
    assert marks_kept(billed) == marks[:1]

    # May: what was billed of March is now 10.00 − 4.50.
    (line,) = reopened.billed
    again = replace(reopened, billed=(replace(line, quantity=D(0), amount=D("5.50")),))
    may = april(again, marks=marks)
    assert adjusting(may) == [("calls", "0", "-5.50")]
    assert marks_kept(may) == marks


def test_what_blocks_the_closed_period_blocks_the_invoice():
    wrong = calls(terms=Terms(model="PER_UNIT"))
    billed = april(closed(used(1000), used(900, wrong)))
    assert billed.is_blocked
    assert billed.issues[0].subject == "INV-000001"


def test_the_sealed_input_alone_gives_the_adjusted_invoice_again():
    billed = april(
        closed(used(1000), used(900), AMENDED),
        marks=(UsageMark(start=APRIL.start, events=7, correction=1),),
    )
    again = proof.recompute(proof.seal(billed))
    assert proof.result(again) == proof.result(billed)
    assert proof.seal(again) == proof.seal(billed)


@pytest.mark.promise("P25")
@given(
    was=st.integers(0, 3000),
    now=st.integers(0, 3000),
    fees=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    minimum=st.none() | st.integers(0, 30),
)
def test_all_invoices_together_bill_what_the_period_comes_to(was, now, fees, minimum):
    # Whatever the next invoices have room for: what they gave and what is left is the whole difference.
    terms = {"contracts": (Contract(code="deal", term=MARCH, minimum_amount=minimum and D(minimum)),)}
    reopened = closed(used(was, **terms), used(now, **terms))
    for amount in fees:
        billed = april(reopened, charges=(fee(str(amount)),))
        assert billed.settlement.totals.total >= 0
        lines = {(line.kind, line.code): line for line in reopened.billed}
        for line in billed.lines:
            if line.adjusts:
                key = (line.kind, line.code)
                before = lines.get(
                    key, BilledLine(kind=line.kind, code=line.code, quantity=D(0), amount=D(0))
                )
                lines[key] = replace(
                    before, quantity=before.quantity + line.quantity, amount=before.amount + line.amount
                )
        is_carried = "credit_carried" in codes(billed)
        reopened = replace(reopened, billed=tuple(lines.values()))
        owed = total(line.amount for line in run(used(now, **terms)).lines)
        assert (total(line.amount for line in reopened.billed) == owed) is not is_carried
