from __future__ import annotations

import pytest

from billing.pipeline.stages import allowance
from billing.pipeline.stages.allowance import drawn
from billing.pipeline.state import Allowance, CarriedUnits, Quantity, Rollover

from ..builders import D, calls, state


def after(units: int, *carried: Allowance, included: str = "1000", rollover: Rollover | None = None):
    charge = calls(included=included, rollover=rollover)
    quantity = Quantity(charge="calls", units=D(units), event_count=units)
    return allowance.run(state(charge, quantities=(quantity,), allowances=carried))


@pytest.mark.promise("P42")
@pytest.mark.parametrize(
    ("used", "free", "billable"),
    [(0, 0, 0), (700, 700, 0), (1000, 1000, 0), (1001, 1000, 1), (1500, 1000, 500)],
)
def test_included_units_are_subtracted_once(used, free, billable):
    (found,) = after(used).billables
    assert (found.metered, found.free, found.billable) == (used, free, billable)


@pytest.mark.promise("P42")
def test_the_soonest_to_expire_go_first():
    assert drawn(D(1500), (D(300), D(1000))) == ((300, 1000), 200)
    assert drawn(D(350), (D(300), D(1000))) == ((300, 50), 0)


@pytest.mark.promise("P40")
def test_what_stays_unused_is_carried_out_while_it_lives():
    carried = (
        Allowance(charge="calls", units=D(100), periods_left=1),
        Allowance(charge="calls", units=D(200), periods_left=2),
    )
    out = after(150, *carried, rollover=Rollover(periods=2)).carried_out
    # The first lot is used up; 150 of the second live one more period, the 1,000 included two.
    assert out == (
        CarriedUnits(charge="calls", units=D(150), periods_left=1),
        CarriedUnits(charge="calls", units=D(1000), periods_left=2),
    )


def test_without_rollover_nothing_is_carried_out():
    assert after(700).carried_out == ()
