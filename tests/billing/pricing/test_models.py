"""The ten models against the rows of the specification, and the terms they refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing import pricing
from billing.pricing.terms import Billable, InvalidTerms, Terms, Tier


def tiers(text: str) -> tuple[Tier, ...]:
    """tiers("1000:0.010 inf:0.005"), a rate in percent with its sign, a flat fee after a plus, a cap after a bar:
    "1000:3%+2|25 inf:1%"."""
    steps = []
    for step in text.split():
        up_to, price = step.split(":")
        rest, _, cap = price.partition("|")
        rate, _, flat_fee = rest.partition("+")
        steps.append(
            Tier(
                up_to=None if up_to == "inf" else Decimal(up_to),
                flat_fee=Decimal(flat_fee or 0),
                cap=Decimal(cap) if cap else None,
                **{"percent" if "%" in rate else "unit_price": Decimal(rate.rstrip("%"))},
            )
        )
    return tuple(steps)


def price(units: str, **terms) -> Decimal:
    built = Terms(
        **{name: Decimal(v) if isinstance(v, str) and name != "model" else v for name, v in terms.items()}
    )
    pricing.check(built)
    rated = pricing.price(Billable(units=Decimal(units), transaction_count=int(Decimal(units) > 0)), built)
    # A breakdown always adds up to its price.
    assert sum((row.amount for row in rated.breakdown), Decimal(0)) == rated.amount
    assert all(row.quantity * row.unit_price + row.flat_fee == row.amount for row in rated.breakdown)
    return rated.amount


A = tiers("1000:0.010 10000:0.008 inf:0.005")


@pytest.mark.promise("P16", "P43")
@pytest.mark.parametrize(
    ("units", "amount"),
    [
        ("0", "0"),
        ("1", "0.01"),
        ("1000", "10.00"),
        ("1001", "10.008"),
        ("10000", "82.00"),
        ("10001", "82.005"),
        ("15000", "107.00"),  # 10.00 + 72.00 + 25.00
    ],
)
def test_graduated_prices_each_unit_in_its_tier(units, amount):
    assert price(units, model="GRADUATED", tiers=A) == Decimal(amount)


@pytest.mark.promise("P16", "P43")
@pytest.mark.parametrize(
    ("units", "amount"),
    [
        ("0", "0"),
        ("1", "0.01"),
        ("1000", "10.00"),
        ("1001", "8.008"),
        ("10000", "80.00"),
        ("10001", "50.005"),
        ("15000", "75.00"),  # all at 0.005
    ],
)
def test_volume_prices_all_units_at_the_tier_reached(units, amount):
    assert price(units, model="VOLUME_TIERED", tiers=A) == Decimal(amount)


@pytest.mark.parametrize(
    ("model", "units", "amount"),
    [
        # 100 at 1 with a fee of 5, the next at 2 with a fee of 7, each fee with its tier's first unit.
        ("GRADUATED", "0", "0"),
        ("GRADUATED", "100", "105"),
        ("GRADUATED", "101", "114"),  # 105 + 2 + 7
        ("VOLUME_TIERED", "0", "0"),
        ("VOLUME_TIERED", "100", "105"),
        ("VOLUME_TIERED", "101", "209"),  # 101 × 2 + 7
    ],
)
def test_a_flat_fee_is_due_with_its_tiers_first_unit(model, units, amount):
    assert price(units, model=model, tiers=tiers("100:1+5 inf:2+7")) == Decimal(amount)


def test_a_fraction_of_a_unit_falls_into_the_next_tier():
    # 1000 × 0.010 + 0.5 × 0.008
    assert price("1000.5", model="GRADUATED", tiers=A) == Decimal("10.004")


@pytest.mark.promise("P43")
def test_per_unit_and_flat_rate():
    assert price("500", model="PER_UNIT", unit_price="0.001") == Decimal("0.50")
    assert price("0", model="PER_UNIT", unit_price="0.001") == 0
    assert price("0", model="FLAT_RATE", amount="49.09") == price("7", model="FLAT_RATE", amount="49.09")


@pytest.mark.promise("P16", "P43")
@pytest.mark.parametrize(
    ("units", "minimum_fee", "amount"), [("1000", "5", "25.00"), ("100", "10", "10.00"), ("0", "5", "5.00")]
)
def test_percentage_takes_a_share_and_at_least_the_minimum(units, minimum_fee, amount):
    assert price(units, model="PERCENTAGE", percent="2.5", minimum_fee=minimum_fee) == Decimal(amount)


def test_percentage_may_waive_the_minimum_without_transactions():
    terms = {
        "model": "PERCENTAGE",
        "percent": "2.5",
        "minimum_fee": "5",
        "minimum_without_transactions": False,
    }
    assert price("0", **terms) == 0
    assert price("1", **terms) == 5


def by_transaction(*amounts: int, **terms) -> Decimal:
    built = Terms(model="PERCENTAGE", percent=Decimal(10), **terms)
    pricing.check(built)
    transactions = tuple(Decimal(amount) for amount in amounts)
    billable = Billable(
        units=sum(transactions, Decimal(0)), transaction_count=len(amounts), transactions=transactions
    )
    return pricing.price(billable, built).amount


def test_each_transaction_has_its_fixed_fee():
    # 10 % of 300 + 3 × 1
    assert by_transaction(100, 100, 100, fixed_fee=Decimal(1)) == 33


def test_of_two_free_allowances_the_smaller_value_is_free_of_the_rate():
    # The first two are 100; the free amount 150 is more. 10 % of 50 + fee for the third = 5 + 1.
    assert (
        by_transaction(50, 50, 50, free_transactions=2, free_amount=Decimal(150), fixed_fee=Decimal(1)) == 6
    )
    # The free amount 60 is less: 10 % of 90. The first is below 60 in all and free of the fee, the second is not.
    assert (
        by_transaction(50, 50, 50, free_transactions=2, free_amount=Decimal(60), fixed_fee=Decimal(1)) == 11
    )


def test_a_transaction_that_reaches_the_free_amount_pays_its_fee():
    # Running total 60 is not below 60; the rate is free, the fee is due.
    assert by_transaction(60, free_transactions=1, free_amount=Decimal(60), fixed_fee=Decimal(1)) == 1


def test_bounds_of_a_transaction_leave_a_free_one_free():
    bounds = {"min_per_transaction": Decimal(4), "max_per_transaction": Decimal(8)}
    # 10 % of 10, 60, 200: 1, 6, 20, within 4 to 8: 4 + 6 + 8.
    assert by_transaction(10, 60, 200, **bounds) == 18
    # The first is free: 6 + 8.
    assert by_transaction(10, 60, 200, free_transactions=1, **bounds) == 14


def test_terms_a_transaction_need_the_transactions():
    terms = Terms(model="PERCENTAGE", percent=Decimal(10), free_transactions=1)
    with pytest.raises(InvalidTerms, match="one by one"):
        pricing.price(Billable(units=Decimal(9), transaction_count=2), terms)


@pytest.mark.promise("P16", "P43")
@pytest.mark.parametrize(
    ("units", "rate_basis", "amount"),
    [
        ("0", "per_block", "0"),
        ("100", "per_block", "0.10"),
        ("150", "", "0.20"),  # per block is the default; a block is charged when its first unit is used
        ("200", "per_block", "0.20"),
        ("150", "per_unit", "15.00"),
    ],
)
def test_included_quota_charges_blocks_or_units(units, rate_basis, amount):
    terms = Terms(
        model="INCLUDED_QUOTA",
        included=Decimal(1000),
        block_size=Decimal(100),
        unit_price=Decimal("0.10"),
        rate_basis=rate_basis,
    )
    pricing.check(terms)
    assert pricing.price(Billable(units=Decimal(units)), terms).amount == Decimal(amount)


@pytest.mark.promise("P16")
@pytest.mark.parametrize(
    ("units", "amount"),
    [("0", "0"), ("0.5", "5"), ("1", "5"), ("100", "5"), ("101", "10"), ("200", "10"), ("201", "15")],
)
def test_a_package_is_charged_when_its_first_unit_is_used(units, amount):
    # Packages of 100 at 5; the free units are gone before the model sees any.
    terms = {"package_size": "100", "package_price": "5", "included": "1000"}
    assert price(units, model="PACKAGE", **terms) == Decimal(amount)


@pytest.mark.promise("P16")
@pytest.mark.parametrize(
    ("units", "amount"),
    [("0", "0"), ("0.5", "50"), ("10", "50"), ("10.5", "200"), ("11", "200"), ("50", "200"), ("51", "500")],
)
def test_stairstep_costs_the_flat_price_of_the_step_reached(units, amount):
    assert price(units, model="STAIRSTEP", tiers=tiers("10:0+50 50:0+200 inf:0+500")) == Decimal(amount)


@pytest.mark.promise("P16")
@pytest.mark.parametrize(
    ("units", "amount"),
    [
        ("0", "0"),
        ("100", "8"),  # 3 % + 5
        ("10000", "305"),
        ("10001", "305.02"),  # 2 % of the one above
        ("85000", "1805"),  # 305 + 2 % of 75,000, the cap
        ("100000", "1805"),  # 305 + 1,800 capped at 1,500
        ("150000", "2305"),  # and 1 % of 50,000
    ],
)
def test_graduated_percentage_takes_of_each_part_its_tiers_share(units, amount):
    steps = tiers("10000:3%+5 100000:2%|1500 inf:1%")
    assert price(units, model="GRADUATED_PERCENTAGE", tiers=steps) == Decimal(amount)


@pytest.mark.parametrize(
    ("model", "steps", "units", "amount"),
    [
        # At most 25 for the first tier, its fee of 5 included: 5 + 20 × 1, and 1 for each unit above 100.
        ("GRADUATED", "100:1+5|25 inf:1", "20", "25"),
        ("GRADUATED", "100:1+5|25 inf:1", "21", "25"),
        ("GRADUATED", "100:1+5|25 inf:1", "101", "26"),
        # All units in the tier reached: 100 at 1 capped at 25, and 101 at 2 without a cap.
        ("VOLUME_TIERED", "100:1|25 inf:2", "100", "25"),
        ("VOLUME_TIERED", "100:1|25 inf:2", "101", "202"),
        ("GRADUATED_PERCENTAGE", "100:10%+5|3 inf:0%", "10", "3"),  # a cap below the fee itself
        ("GRADUATED_PERCENTAGE", "100:10%|0 inf:50%", "102", "1"),  # a cap of nothing
    ],
)
def test_a_cap_is_the_most_that_its_tier_costs(model, steps, units, amount):
    assert price(units, model=model, tiers=tiers(steps)) == Decimal(amount)


@pytest.mark.promise("P16")
def test_dynamic_multiplies_the_prices_that_events_carry():
    # 1.20 + 0.35 + 2.45 = 4.00, 1.15 times: 4.60.
    assert price("0", model="DYNAMIC", multiplier="1.15") == 0
    assert price("4.00", model="DYNAMIC", multiplier="1.15") == Decimal("4.60")
    assert price("4.00", model="DYNAMIC") == Decimal("4.00")
    assert price("4.00", model="DYNAMIC", multiplier="0") == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1000:1 1000:2 inf:3", "tiers\\[1\\].up_to is not above the tier before it, 1000"),
        ("1000:1 500:2 inf:3", "tiers\\[1\\].up_to is not above"),
        ("0:1 inf:3", "tiers\\[0\\].up_to is zero"),
        ("1000:1 2000:2", "tiers\\[1\\].up_to ends the last tier; units above it have no price"),
        ("inf:1 1000:2", "tiers\\[0\\].up_to is open, but a tier follows"),
        ("inf:-1", "tiers\\[0\\].unit_price is below zero"),
        ("inf:1+-1", "tiers\\[0\\].flat_fee is below zero"),
    ],
)
@pytest.mark.parametrize("model", ["GRADUATED", "VOLUME_TIERED"])
def test_tiers_with_gaps_overlaps_or_out_of_order_are_refused(model, text, sentence):
    with pytest.raises(InvalidTerms, match=sentence):
        pricing.check(Terms(model=model, tiers=tiers(text)))


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        ("STAIRSTEP", "10:0+1 10:0+2 inf:0+3", "tiers\\[1\\].up_to is not above the tier before it, 10"),
        ("STAIRSTEP", "10:0+1 20:0+2", "tiers\\[1\\].up_to ends the last tier"),
        (
            "STAIRSTEP",
            "inf:1+1",
            "tiers\\[0\\].unit_price is unknown to this model, whose tiers have flat_fee",
        ),
        ("STAIRSTEP", "inf:0+5|3", "tiers\\[0\\].cap is unknown"),
        ("GRADUATED_PERCENTAGE", "10:1% 5:2% inf:3%", "tiers\\[1\\].up_to is not above"),
        ("GRADUATED_PERCENTAGE", "inf:1", "tiers\\[0\\].unit_price is unknown .* percent, flat_fee, cap"),
        ("GRADUATED_PERCENTAGE", "inf:-1%", "tiers\\[0\\].percent is below zero"),
        ("GRADUATED_PERCENTAGE", "inf:1%|-1", "tiers\\[0\\].cap is below zero"),
        ("GRADUATED", "inf:1%", "tiers\\[0\\].percent is unknown"),
    ],
)
def test_each_tiered_model_refuses_what_its_tiers_cannot_have(model, text, sentence):
    with pytest.raises(InvalidTerms, match=sentence):
        pricing.check(Terms(model=model, tiers=tiers(text)))


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(model="BARTER"), "model"),
        (Terms(model="PER_UNIT"), "unit_price"),
        (Terms(model="GRADUATED"), "tiers"),
        (Terms(model="FLAT_RATE"), "amount"),
        (Terms(model="PERCENTAGE"), "percent"),
        (Terms(model="PER_UNIT", unit_price=Decimal(-1)), "unit_price"),
        (Terms(model="PER_UNIT", unit_price=Decimal(1), included=Decimal(-1)), "included"),
        (Terms(model="PER_UNIT", unit_price=Decimal(1), percent=Decimal(1)), "percent"),
        (Terms(model="FLAT_RATE", amount=Decimal(1), included=Decimal(1)), "included"),
        (Terms(model="INCLUDED_QUOTA", unit_price=Decimal(1), block_size=Decimal(0)), "block_size"),
        (Terms(model="INCLUDED_QUOTA", unit_price=Decimal(1), rate_basis="per_dozen"), "rate_basis"),
        (Terms(model="PACKAGE", package_price=Decimal(1)), "package_size"),
        (Terms(model="PACKAGE", package_size=Decimal(1)), "package_price"),
        (Terms(model="PACKAGE", package_size=Decimal(0), package_price=Decimal(1)), "package_size"),
        (Terms(model="STAIRSTEP"), "tiers"),
        (Terms(model="GRADUATED_PERCENTAGE"), "tiers"),
        (Terms(model="DYNAMIC", multiplier=Decimal(-1)), "multiplier"),
        (Terms(model="DYNAMIC", included=Decimal(1)), "included"),
        (
            Terms(
                model="PERCENTAGE",
                percent=Decimal(1),
                min_per_transaction=Decimal(2),
                max_per_transaction=Decimal(1),
            ),
            "min_per_transaction",
        ),
    ],
)
def test_terms_that_a_model_lacks_or_misses_are_refused(terms, field):
    with pytest.raises(InvalidTerms) as refused:
        pricing.check(terms)
    assert refused.value.field == field
