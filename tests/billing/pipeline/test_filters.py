"""Of charges on one meter, each usage is priced by the narrowest, whatever filters there are."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.decimals import total
from billing.pipeline import run
from billing.pipeline.filters import overlapping, with_excludes

from .builders import calls, hour, state, usage

LARGE, EU = (("model", "large"),), (("region", "eu"),)
BOTH = (*LARGE, *EU)


def charge(code: str, filters=(), meter: str = "api.call"):
    return replace(calls(code=code, meter=meter), filters=filters)


def test_a_wider_charge_leaves_out_what_narrower_ones_price():
    wide, large, both = with_excludes([charge("wide"), charge("large", LARGE), charge("both", BOTH)])
    assert wide.excludes == (LARGE, BOTH)
    assert large.excludes == (BOTH,)
    assert both.excludes == ()


def test_the_same_filters_are_a_price_in_parts_and_another_meter_is_no_neighbour():
    found = with_excludes([charge("a", LARGE), charge("b", LARGE), charge("c", meter="search")])
    assert [each.excludes for each in found] == [(), (), ()]


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ([LARGE, EU], ("c0", "c1")),
        ([LARGE, EU, BOTH], None),
        ([LARGE, BOTH], None),
        ([(), LARGE], None),
        ([LARGE, (("model", "small"),)], None),
        ([LARGE, LARGE], None),
        ([(), LARGE, (("region", "us"),)], ("c1", "c2")),
    ],
)
def test_two_of_which_neither_is_narrower_are_named(filters, named):
    found = overlapping(charge(f"c{place}", each) for place, each in enumerate(filters))
    assert (found and tuple(each.code for each in found)) == named


FILTERS = st.sets(
    st.sampled_from([(), *((("model", model),) for model in "ab"), *((("region", region),) for region in "xy"),
                     *((("model", model), ("region", region)) for model, region in product("ab", "xy"))]),
    min_size=1,
)  # fmt: skip


@given(filters=FILTERS, counts=st.lists(st.integers(0, 50), min_size=9, max_size=9))
def test_no_call_is_billed_twice(filters, counts):
    charges = with_excludes(charge(f"c{place}", each) for place, each in enumerate(sorted(filters)))
    if overlapping(charges):
        return
    kinds = list(product("abc", "xyz"))
    used = usage(
        *(hour(count, model=m, region=r) for (m, r), count in zip(kinds, counts, strict=True) if count)
    )
    billed = total(quantity.units for quantity in run(state(*charges, usage=(used,))).quantities)
    let_in = sum(
        count
        for (m, r), count in zip(kinds, counts, strict=True)
        if any(set(each) <= {("model", m), ("region", r)} for each in filters)
    )
    assert billed == let_in
