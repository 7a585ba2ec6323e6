from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from aforo.kernel.decimals import EXACT
from aforo.kernel.money import round_minor
from billing.pipeline.stages import tax
from billing.pipeline.state import TaxExemption, TaxProfile, TaxRate
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


# --- several


def rates(*given: tuple[str, str], **fields) -> TaxProfile:
    """Rates as (name, percent); a name with + is compound."""
    return TaxProfile(
        jurisdiction="CA-QC",
        rates=tuple(
            TaxRate(name=name, percent=D(percent), is_compound=name.endswith("+"), **fields)
            for name, percent in given
        ),
    )


def test_a_compound_tax_is_taken_of_the_taxes_before_it():
    # GST 5.00; QST 7.5 % of 105.00 = 7.875 -> 7.88. The other way round nothing is before it: 7.50.
    assert taxes(lines("100"), rates(("GST", "5"), ("QST+", "7.5"))) == [
        ("100.00", "5.00"),
        ("105.00", "7.88"),
    ]
    assert taxes(lines("100"), rates(("QST+", "7.5"), ("GST", "5"))) == [
        ("100.00", "7.50"),
        ("100.00", "5.00"),
    ]
    # A third on both: 10 % of 100 + 5 + 7.875 = 112.875, which is taken before it is rounded.
    three = rates(("GST", "5"), ("QST+", "7.5"), ("Levy+", "10"))
    assert taxes(lines("100"), three)[2] == ("112.88", "11.29")


def test_what_is_before_a_compound_tax_is_what_its_own_line_pays():
    # GST on line1 alone: QST is 7.5 % of 60 x 1.05 + 40 = 103.00.
    profile = rates(("GST", "5"), ("QST+", "7.5"))
    limited = replace(profile, rates=(replace(profile.rates[0], lines=("line1",)), profile.rates[1]))
    assert taxes(lines("60", "40"), limited) == [("60.00", "3.00"), ("103.00", "7.73")]


def test_a_contained_tax_leaves_the_rest_of_the_price_as_its_net():
    # 0.03 at 20 %: 0.025 + 0.005, each half a cent; the tax is 0.01, so the net is 0.02 and not 0.03.
    contained = taxed("20", is_inclusive=True)
    assert taxes(lines("0.03"), contained) == [("0.02", "0.01")]
    # Under the first rules each was rounded by itself.
    assert taxes(lines("0.03"), contained, rule_version="1") == [("0.03", "0.01")]


def test_a_rate_may_leave_lines_to_another():
    # 19 % but for line2, which has 7 % of its own; what brings the invoice to a minimum is at the general rate.
    profile = TaxProfile(
        jurisdiction="DE",
        rates=(
            TaxRate(name="VAT", percent=D(19), except_lines=("line2",)),
            TaxRate(name="VAT", percent=D(7), lines=("line2",)),
        ),
    )
    given = (*lines("60", "40"), replace(lines("50", kind="TRUE_UP")[0], code="line2"))
    assert taxes(given, profile) == [("110.00", "20.90"), ("40.00", "2.80")]


def test_a_rate_of_another_jurisdiction_says_so():
    profile = TaxProfile(
        jurisdiction="US-NY-NYC",
        rates=(TaxRate(name="State", percent=D(4), jurisdiction="US-NY"), TaxRate(name="City", percent=D(4))),
    )
    after = tax.run(state(lines=lines("100"), tax_profile=profile))
    assert [each.jurisdiction for each in after.taxes] == ["US-NY", "US-NY-NYC"]


# --- exemptions


def exemption(jurisdiction: str = "DE", ends_on: date | None = None, **fields) -> TaxExemption:
    given = {"number": "C-1", "reason": "resale", "starts_on": date(2026, 1, 1), **fields}
    return TaxExemption(jurisdiction=jurisdiction, ends_on=ends_on, **given)


@pytest.mark.promise("P46")
@pytest.mark.parametrize(
    ("certificate", "amounts", "issues"),
    [
        (exemption(), ["0"], []),
        (exemption(""), ["0"], []),
        # March's last local day decides.
        (exemption(ends_on=date(2026, 4, 1)), ["0"], []),
        (exemption(ends_on=date(2026, 3, 31)), ["19.00"], ["exemption_expired"]),
        (exemption(starts_on=date(2026, 3, 31)), ["0"], []),
        (exemption("DE-BY"), ["19.00"], []),
        (exemption("D"), ["19.00"], []),
        (exemption("AT", ends_on=date(2026, 2, 1)), ["19.00"], []),
    ],
)
def test_a_certificate_exempts_while_it_is_in_force(certificate, amounts, issues):
    profile = replace(taxed("19"), exemptions=(certificate,))
    after = tax.run(state(lines=lines("100"), tax_profile=profile))
    assert ([str(each.amount) for each in after.taxes], codes(after)) == (amounts, issues)
    if amounts == ["0"]:
        (line,) = after.taxes
        assert (line.treatment, line.taxable) == ("EXEMPT", 100)
        assert line.note == "Exempt from tax by certificate C-1 (resale)."


def test_a_certificate_says_why_there_is_no_tax_where_there_is_no_rate_either():
    profile = TaxProfile(jurisdiction="DE", exemptions=(exemption(),))
    after = tax.run(state(lines=lines("100"), tax_profile=profile))
    assert ([each.treatment for each in after.taxes], codes(after)) == (["EXEMPT"], [])


# --- EU VAT


def across(country: str, vat_number: str = "", **fields) -> TaxProfile:
    given = {"seller_country": "DE", "seller_vat_number": "DE136695976", "jurisdiction": country, **fields}
    return TaxProfile(country=country, vat_number=vat_number, **given)


@pytest.mark.promise("P46")
def test_reverse_charge_takes_nothing_and_says_why():
    given = across("FR", "FR40303265045", rates=taxed("20", is_inclusive=True).rates)
    after = tax.run(state(lines=lines("100"), tax_profile=given))
    (line,) = after.taxes
    assert (line.amount, line.taxable, line.treatment, codes(after)) == (0, 100, "REVERSE_CHARGE", [])
    assert "Art. 196 of Directive 2006/112/EC" in line.note
    assert dict(after.trace[-1].facts)["evidence"] == "only its digits checked"
    confirmed = tax.run(
        state(lines=lines("100"), tax_profile=replace(given, vat_confirmed_on=date(2026, 3, 1)))
    )
    assert dict(confirmed.trace[-1].facts)["evidence"] == "confirmed on 2026-03-01"


def test_reverse_charge_without_the_sellers_number_is_said():
    given = across("FR", "FR40303265045", seller_vat_number="")
    assert codes(tax.run(state(lines=lines("100"), tax_profile=given))) == ["seller_vat_number_missing"]


def test_out_of_the_eu_no_vat_is_due_but_what_the_table_has():
    after = tax.run(state(lines=lines("100"), tax_profile=across("US")))
    assert ([(each.treatment, each.amount) for each in after.taxes], codes(after)) == (
        [("OUT_OF_SCOPE", 0)],
        [],
    )
    registered = across("US", jurisdiction="US-NY", rates=taxed("8.875").rates)
    assert taxes(lines("100"), registered) == [("100.00", "8.88")]


# --- whatever the rates and lines

AMOUNTS = st.lists(
    st.integers(0, 10_000_000).map(lambda cents: EXACT.scaleb(D(cents), -2)), min_size=1, max_size=6
)
PERCENTS = st.integers(0, 4000).map(lambda hundredths: EXACT.scaleb(D(hundredths), -2))
RATES = st.lists(st.tuples(PERCENTS, st.booleans()), min_size=1, max_size=4)


def several(given: list[tuple[Decimal, bool]], *, is_inclusive: bool) -> TaxProfile:
    return TaxProfile(
        jurisdiction="XX",
        rates=tuple(
            TaxRate(name=str(i), percent=percent, is_inclusive=is_inclusive, is_compound=is_compound)
            for i, (percent, is_compound) in enumerate(given)
        ),
    )


@pytest.mark.promise("P46")
@whatever(AMOUNTS, RATES)
def test_net_and_contained_taxes_are_the_price(amounts, given_rates):
    profile = several(given_rates, is_inclusive=True)
    after = tax.run(state(lines=lines(*map(str, amounts)), tax_profile=profile))
    net = after.taxes[0].taxable
    assert net + sum(each.amount for each in after.taxes) == sum(amounts) == totals_of(after).total
    before = D(0)
    for each, (percent, is_compound) in zip(after.taxes, given_rates, strict=True):
        assert each.taxable == (net + before if is_compound else net)
        # Rounded once, of what was not rounded: within half a cent of its percentage, and what the nets were rounded by.
        assert abs(each.amount - each.taxable * percent / 100) <= D("0.005") + D("0.03") * percent / 100
        before += each.amount


@pytest.mark.promise("P46")
@whatever(AMOUNTS, RATES)
def test_added_taxes_are_each_rounded_once(amounts, given_rates):
    profile = several(given_rates, is_inclusive=False)
    after = tax.run(state(lines=lines(*map(str, amounts)), tax_profile=profile))
    net, taken = D(sum(amounts)), D(0)
    for each, (percent, is_compound) in zip(after.taxes, given_rates, strict=True):
        exact = (net + taken if is_compound else net) * percent / 100
        assert each.amount == round_minor(exact, "USD", "half_up")
        taken += exact
    assert totals_of(after).total == net + sum(each.amount for each in after.taxes)
