"""What each of the ten stages must satisfy, whichever it is."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from billing.pipeline import NAMES, STAGES, name_of, run
from billing.pipeline.state import (
    INPUTS,
    RESULTS,
    BillingInput,
    BillingState,
    CarriedUnits,
    Contract,
    Coupon,
    Rollover,
)
from billing.pricing.terms import Terms, Tier

from .builders import MARCH, D, calls, fee, grant, hour, state, taxed, usage

TIERS = (Tier(up_to=D(500), unit_price=D("0.02")), Tier(up_to=None, unit_price=D("0.01")))
# Something for every stage to do.
FULL = state(
    fee("49.09"),
    calls(
        terms=Terms(model="GRADUATED", tiers=TIERS, included=D(100)),
        quota_units=D(1000),
        over_quota="BLOCK",
        rollover=Rollover(periods=2),
    ),
    usage=(usage(hour(900), hour(103, day=2)),),
    carried_in=(CarriedUnits(charge="calls", units=D(20), periods_left=1),),
    contracts=(Contract(code="deal", term=MARCH, minimum_amount=D(100), discount_percent=D(5)),),
    coupons=(Coupon(code="ten", name="Ten", percent=D(10)),),
    tax_profile=taxed("19"),
    billing_mode="HYBRID",
    wallet=(grant("cash", "30"),),
)
EMPTY_INPUTS = {
    "charges": (),
    "tenant": "",
    "customer": "",
    "subscription": "",
    "plan_version": "",
    "currency": "JPY",
    "period": replace(MARCH, end=MARCH.start),
    "cycle": replace(MARCH, end=MARCH.start),
    "as_of": MARCH.start,
}
DEFAULTS = {
    each.name: each.default_factory() if callable(each.default_factory) else each.default
    for each in fields(BillingState)
}


def before(stage) -> BillingState:
    index = STAGES.index(stage)
    return FULL if index == 0 else run(FULL, until=NAMES[index - 1])


@pytest.mark.promise("P31")
def test_the_stages_are_the_ten_in_their_order():
    assert NAMES == (
        "quota",
        "rollover",
        "aggregation",
        "allowance",
        "rating",
        "commitment",
        "discount",
        "tax",
        "routing",
        "settlement",
    )
    assert [stamp.stage for stamp in run(FULL).stage_hashes] == list(NAMES)


@pytest.mark.parametrize("stage", STAGES, ids=name_of)
def test_a_stage_reads_only_what_is_input_or_already_written(stage):
    # Closed periods are run again before the first stage.
    known = {*INPUTS, "reruns"}
    for earlier in STAGES[: STAGES.index(stage)]:
        known |= earlier.WRITES
    assert known >= stage.READS


@pytest.mark.parametrize("stage", STAGES, ids=name_of)
def test_a_stage_does_not_look_at_what_it_does_not_declare(stage):
    given = before(stage)
    blank = {
        name: EMPTY_INPUTS.get(name, DEFAULTS[name])
        for name in (*INPUTS, *RESULTS)
        if name not in stage.READS and name not in {"issues", "trace", "stage_hashes"}
    }

    seen, blind = stage.run(given), stage.run(replace(given, **blank))

    for name in stage.WRITES:
        assert getattr(seen, name) == getattr(blind, name), name
    assert seen.trace == blind.trace
    assert seen.issues == blind.issues


@pytest.mark.parametrize("stage", STAGES, ids=name_of)
def test_a_stage_writes_only_what_it_declares(stage):
    given = before(stage)
    after = stage.run(given)
    changed = {name for name in (*INPUTS, *RESULTS) if getattr(after, name) != getattr(given, name)}
    assert changed <= stage.WRITES | {"issues", "trace"}
    # This state gives every stage something to do.
    assert changed - {"issues", "trace"}, "the stage did nothing"
    assert len(after.trace) > len(given.trace), "the stage explained nothing"


@pytest.mark.parametrize("stage", STAGES, ids=name_of)
def test_a_stage_says_why_it_stands_where_it_does(stage):
    first, _, why = stage.__doc__.partition("\n\n")
    assert first.lower().startswith(name_of(stage))
    assert why.startswith(("First, ", "Before ", "After ", "Last, "))


@pytest.mark.promise("P49")
def test_running_again_gives_the_same_stage_hashes():
    assert run(FULL).stage_hashes == run(FULL).stage_hashes


def test_the_input_is_a_part_of_the_state():
    assert set(INPUTS) == {each.name for each in fields(BillingInput)}
    assert not set(INPUTS) & set(RESULTS)
