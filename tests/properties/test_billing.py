"""What is true of every bill, whatever was used and whatever was agreed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import total
from aforo.kernel.money import allocate, round_minor
from aforo.kernel.periods import Period
from billing import pricing
from billing.burn import KINDS, Grant
from billing.pipeline import run
from billing.pipeline.metered import condensed
from billing.pipeline.state import (
    BillingState,
    CarriedUnits,
    Charge,
    Contract,
    Coupon,
    FundedGrant,
    HourUsage,
    MeterUsage,
    Rollover,
    TaxProfile,
    TaxRate,
)
from billing.pipeline.totals import totals_of
from billing.pricing.terms import Billable, Terms, Tier
from billing.pricing.tiers import split
from billing.proof import recompute, result, seal, unseal
from metering.aggregation import Aggregation, Sample, fold_all
from tests.billing.pipeline.builders import MARCH, at, state

# A whole invoice takes some milliseconds to make up and to run.
whole_invoices = settings(max_examples=100, deadline=None)


def decimals(most: int, places: int = 4, least: int = 0) -> st.SearchStrategy[Decimal]:
    return st.decimals(least, most, allow_nan=False, allow_infinity=False, places=places)


amounts, prices, units, percents = decimals(10**6), decimals(100, 6), decimals(10**6, 2), decimals(100, 3)


@st.composite
def tiers(draw) -> tuple[Tier, ...]:
    bounds = sorted(draw(st.sets(decimals(10**6, 2, least=1), max_size=4)))
    return tuple(
        Tier(
            up_to=bound,
            unit_price=draw(prices),
            flat_fee=draw(st.sampled_from([Decimal(0), Decimal("2.50")])),
        )
        for bound in (*bounds, None)
    )


@st.composite
def steps(draw, model: str) -> tuple[Tier, ...]:
    """Tiers as the model has them; fees of STAIRSTEP and all that GRADUATED_PERCENTAGE knows drawn freely."""
    found = draw(tiers())
    match model:
        case "STAIRSTEP":
            return tuple(Tier(up_to=tier.up_to, flat_fee=draw(prices)) for tier in found)
        case "GRADUATED_PERCENTAGE":
            cap = st.one_of(st.none(), amounts)
            return tuple(
                Tier(up_to=tier.up_to, flat_fee=tier.flat_fee, percent=draw(percents), cap=draw(cap))
                for tier in found
            )
    return found


@st.composite
def terms(draw) -> Terms:
    included = draw(st.one_of(st.just(Decimal(0)), units))
    match draw(st.sampled_from(sorted(pricing.MODELS))):
        case "PER_UNIT":
            return Terms(model="PER_UNIT", unit_price=draw(prices), included=included)
        case "FLAT_RATE":
            return Terms(model="FLAT_RATE", amount=draw(amounts))
        case "PERCENTAGE":
            return Terms(
                model="PERCENTAGE", percent=draw(percents), minimum_fee=draw(amounts), fixed_fee=draw(prices)
            )
        case "INCLUDED_QUOTA":
            return Terms(
                model="INCLUDED_QUOTA",
                unit_price=draw(prices),
                block_size=draw(decimals(1000, 2, least=1)),
                included=included,
            )
        case "PACKAGE":
            return Terms(
                model="PACKAGE",
                package_size=draw(decimals(1000, 2, least=1)),
                package_price=draw(prices),
                included=included,
            )
        case "DYNAMIC":
            return Terms(model="DYNAMIC", multiplier=draw(st.one_of(st.none(), prices)))
        case model:
            return Terms(model=model, tiers=draw(steps(model)), included=included)


samples = st.builds(
    lambda day, hour, number, value: Sample(at(day, hour), f"key{number}", value, str(value)),
    st.integers(1, 31),
    st.integers(0, 23),
    st.integers(0, 10**9),
    units,
)


@st.composite
def hours(draw) -> tuple[HourUsage, ...]:
    found = draw(st.lists(samples, max_size=12, unique_by=lambda sample: sample.key))
    return tuple(
        HourUsage(
            hour=sample.at,
            dimensions=(("model", draw(st.sampled_from(["large", "small"]))),),
            partial=fold_all((sample,), keeps_values=True),
        )
        for sample in found
    )


def bounds(draw) -> dict[str, Decimal]:
    minimum, maximum = sorted(draw(st.tuples(amounts, amounts)))
    given = {"minimum_amount": minimum, "maximum_amount": maximum}
    return {name: amount for name, amount in given.items() if draw(st.booleans())}


@st.composite
def usage_charges(draw, code: str) -> Charge:
    return Charge(
        code=code,
        name=code,
        kind="USAGE",
        meter="tokens",
        terms=draw(terms()),
        aggregation=draw(st.sampled_from(list(Aggregation))),
        percentile=Decimal(95),
        filters=draw(st.sampled_from([(), (("model", "large"),)])),
        quota_units=draw(st.one_of(st.none(), units)),
        over_quota=draw(st.sampled_from(["CHARGE", "BLOCK", "IGNORE"])),
        rollover=draw(st.one_of(st.none(), st.builds(Rollover, periods=st.integers(1, 3), percent=percents))),
        **bounds(draw),
    )


@st.composite
def states(draw) -> BillingState:
    charges = [draw(usage_charges(f"usage{i}")) for i in range(draw(st.integers(0, 2)))]
    for i in range(draw(st.integers(0, 2))):
        flat = Terms(model="FLAT_RATE", amount=draw(amounts))
        charges.append(Charge(code=f"fee{i}", name=f"Fee {i}", kind="FEE", terms=flat, proration="second"))
    since = draw(st.integers(1, 31))
    coupon = st.one_of(
        st.builds(lambda p: Coupon(code="p", name="P", percent=p), percents),
        st.builds(lambda a: Coupon(code="a", name="A", amount=a), amounts),
    )
    rates = st.builds(TaxRate, name=st.just("VAT"), percent=percents, is_inclusive=st.booleans())
    grants = st.lists(st.tuples(st.sampled_from(KINDS), amounts), max_size=3)
    carried = [charge for charge in charges if charge.rollover]
    return state(
        *charges,
        currency=draw(st.sampled_from(["USD", "JPY", "KWD"])),
        rounding=draw(st.sampled_from(["half_up", "half_even"])),
        zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])),
        period=Period(at(since), MARCH.end),
        usage=(MeterUsage(meter="tokens", hours=draw(hours())),),
        carried_in=tuple(
            CarriedUnits(charge=charge.code, units=draw(units), periods_left=draw(st.integers(0, 3)))
            for charge in carried
        ),
        contracts=tuple(
            Contract(
                code="deal",
                term=Period(at(draw(st.integers(1, 31))), MARCH.end),
                discount_percent=draw(percents),
                **bounds(draw),
            )
            for _ in range(draw(st.integers(0, 1)))
        ),
        coupons=tuple(draw(st.lists(coupon, max_size=2))),
        tax_profile=TaxProfile(jurisdiction="DE", rates=tuple(draw(st.lists(rates, max_size=2)))),
        billing_mode=draw(st.sampled_from(["POSTPAID", "PREPAID", "HYBRID"])),
        wallet=tuple(
            FundedGrant(grant=Grant(f"g{i}", kind, MARCH.start, None, MARCH.start), balance=balance)
            for i, (kind, balance) in enumerate(draw(grants))
        ),
    )


@pytest.mark.promise("P49")
@whole_invoices
@given(states())
def test_parts_add_up_to_the_whole(before):
    # The runner checks the invariants after every stage; these are the invoice's, from outside.
    after = run(before)
    totals = totals_of(after)
    assert totals.total == totals.wallet_amount + totals.due_amount
    assert totals.total == totals.subtotal + totals.commitment + totals.discount + totals.tax_added
    assert total(line.discount for line in after.lines) == totals.discount <= 0
    assert total(entry.amount for entry in after.settlement.entries) == 0
    assert total(burn.amount for burn in after.settlement.burns) == totals.wallet_amount
    assert totals.total >= 0
    for line in after.lines:
        assert line.amount == round_minor(line.unrounded, after.currency, after.rounding)


@pytest.mark.promise("P49")
@whole_invoices
@given(states())
def test_the_same_input_gives_the_same_bytes(before):
    sealed = seal(before)
    assert unseal(sealed) == before
    assert seal(unseal(sealed)) == sealed
    assert result(recompute(sealed)) == result(run(before))


@pytest.mark.promise("P49")
@whole_invoices
@given(states(), st.randoms(use_true_random=False))
def test_the_order_of_usage_does_not_matter(before, random):
    (usage,) = before.usage
    shuffled = list(usage.hours)
    random.shuffle(shuffled)
    again = replace(before, usage=(replace(usage, hours=tuple(shuffled)),))
    assert result(run(again)) == result(run(before))


@whole_invoices
@given(states())
def test_condensed_usage_bills_alike(before):
    short = replace(before, usage=tuple(condensed(usage, before.charges) for usage in before.usage))
    assert result(run(short)) == result(run(before))


@given(terms(), units)
def test_a_breakdown_adds_up_to_its_price(given_terms, quantity):
    pricing.check(given_terms)
    rated = pricing.price(Billable(units=quantity, transaction_count=int(quantity > 0)), given_terms)
    assert total(row.amount for row in rated.breakdown) == rated.amount >= 0


@given(tiers(), units, units)
def test_more_usage_never_costs_less_on_a_graduated_plan(steps, one, other):
    less, more = sorted((one, other))
    graduated = Terms(model="GRADUATED", tiers=steps)
    price = [pricing.price(Billable(units=quantity), graduated).amount for quantity in (less, more)]
    assert price[0] <= price[1]


@given(terms(), units, units)
def test_more_usage_never_costs_less_but_where_prices_fall(given_terms, one, other):
    # Volume prices fall at a bound, and so may those of steps, as their seller likes.
    assume(given_terms.model not in {"VOLUME_TIERED", "STAIRSTEP"})
    less, more = sorted((one, other))
    price = [
        pricing.price(Billable(units=quantity, transaction_count=1), given_terms).amount
        for quantity in (less, more)
    ]
    assert price[0] <= price[1]


@given(decimals(1000, 2, least=1), prices, units)
def test_packages_cover_the_units_and_none_is_empty(size, package_price, quantity):
    package = Terms(model="PACKAGE", package_size=size, package_price=package_price)
    rated = pricing.price(Billable(units=quantity), package)
    packages = rated.breakdown[0].quantity if quantity else Decimal(0)
    assert packages * size >= quantity > (packages - 1) * size
    assert rated.amount == packages * package_price


@given(st.sampled_from(["GRADUATED", "GRADUATED_PERCENTAGE"]).flatmap(steps), units)
def test_tiers_share_out_every_unit_once(found, quantity):
    parts = [part for _, _, part in split(quantity, found)]
    assert total(parts) == quantity
    assert all(part > 0 for part in parts)


@given(
    st.sampled_from(["JPY", "USD", "KWD"]),
    decimals(10**6, 4, least=-(10**6)),
    st.lists(decimals(1000, 3), min_size=1, max_size=6).filter(any),
)
def test_allocated_parts_add_up_and_stay_near_their_share(currency, amount, weights):
    whole = round_minor(amount, currency, "half_up")
    parts = allocate(whole, weights, currency)
    assert total(parts) == whole
    minor = Decimal(1).scaleb(-minor_units(currency))
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - whole * weight / total(weights)) < minor
