from __future__ import annotations

from dataclasses import replace

import pytest

from billing.pipeline.stages import tax
from billing.pipeline.state import TaxProfile, TaxRate
from billing.pipeline.totals import totals_of

from ..builders import D, codes, lines, state, taxed


def taxes(given, profile: TaxProfile, **fields) -> list[tuple[str, str]]:
    after = tax.run(state(lines=given, tax_profile=profile, **fields))
    return [(str(each.taxable), str(each.amount)) for each in after.taxes]


@pytest.mark.promise("P46")
def test_tax_is_rounded_once_per_rate():
    # 5 × 84.03 at 19 %: 420.15 × 0.19 = 79.8285 -> 79.83. Line by line it would be 15.97 each, 79.85 in all.
    assert taxes(lines(*["84.03"] * 5), taxed("19")) == [("420.15", "79.83")]
    assert taxes(lines("99.99"), taxed("9.25")) == [("99.99", "9.25")]


@pytest.mark.promise("P46")
def test_half_up_unless_the_tenant_chose_half_even():
    # 10 % of 0.25 is 0.025.
    assert taxes(lines("0.25"), taxed("10")) == [("0.25", "0.03")]
    assert taxes(lines("0.25"), taxed("10"), rounding="half_even") == [("0.25", "0.02")]


@pytest.mark.promise("P46")
def test_tax_is_due_on_the_discounted_sum():
    discounted = tuple(replace(line, discount=D(-10)) for line in lines("100"))
    assert taxes(discounted, taxed("19")) == [("90.00", "17.10")]


@pytest.mark.promise("P46")
def test_an_inclusive_tax_is_contained():
    given = state(lines=lines("119"), tax_profile=taxed("19", is_inclusive=True))
    after = tax.run(given)
    assert (after.taxes[0].taxable, after.taxes[0].amount) == (100, 19)
    assert (totals_of(after).tax, totals_of(after).tax_added, totals_of(after).total) == (19, 0, 119)


def test_rates_that_meet_are_each_taken_of_the_price_without_tax():
    # 115.00 contain 10 % and 5 % of 100.00.
    both = TaxProfile(
        jurisdiction="CA-QC",
        rates=tuple(TaxRate(name=p, percent=D(p), is_inclusive=True) for p in ("10", "5")),
    )
    assert taxes(lines("115"), both) == [("100.00", "10.00"), ("100.00", "5.00")]
    # Two on top: each of the same 100.00.
    added = replace(both, rates=tuple(replace(rate, is_inclusive=False) for rate in both.rates))
    assert taxes(lines("100"), added) == [("100.00", "10.00"), ("100.00", "5.00")]


def test_a_rate_may_be_limited_to_lines():
    assert taxes(lines("60", "40"), taxed("10", lines=("line2",))) == [("40.00", "4.00")]


@pytest.mark.promise("P46")
def test_an_exempt_customer_pays_none():
    exempt = replace(taxed("19"), is_exempt=True)
    after = tax.run(state(lines=lines("100"), tax_profile=exempt))
    assert (after.taxes, after.issues) == ((), ())
    assert after.trace[-1].code == "tax.exempt"


def test_a_jurisdiction_without_a_rate_is_said():
    after = tax.run(state(lines=lines("100"), tax_profile=TaxProfile(jurisdiction="DE")))
    assert codes(after) == ["tax_rate_missing"]
    assert codes(tax.run(state(lines=lines("100")))) == []
