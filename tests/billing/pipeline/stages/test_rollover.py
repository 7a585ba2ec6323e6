from __future__ import annotations

import pytest

from billing.pipeline.stages import rollover
from billing.pipeline.state import CarriedUnits, Rollover

from ..builders import D, calls, facts, state


def lot(units: int, periods_left: int, charge: str = "calls") -> CarriedUnits:
    return CarriedUnits(charge=charge, units=D(units), periods_left=periods_left)


def after(*carried: CarriedUnits, **terms):
    charge = calls(included="1000", rollover=Rollover(periods=2, **terms) if terms else None)
    return rollover.run(state(charge, carried_in=carried))


def taken(state) -> list[tuple[int, int]]:
    return [(int(each.units), each.periods_left) for each in state.allowances]


@pytest.mark.promise("P40")
def test_unused_units_are_allowed_up_to_half_of_the_included():
    # 1,000 included, 700 used last period: 300 of at most 500.
    assert taken(after(lot(300, 1), percent=D(50))) == [(300, 1)]


@pytest.mark.promise("P40")
def test_the_cap_keeps_the_longest_lived():
    capped = after(lot(300, 1), lot(400, 2), percent=D(50))
    assert taken(capped) == [(100, 1), (400, 2)]
    assert facts(capped, "rollover.lapsed") == [{"units": "200", "units_max": "500"}]


def test_the_smaller_of_two_caps_holds():
    assert taken(after(lot(300, 1), percent=D(50), units_max=D(120))) == [(120, 1)]


@pytest.mark.promise("P40")
def test_expired_units_lapse():
    assert taken(after(lot(300, 0), percent=D(50))) == []


def test_without_rollover_or_for_another_charge_nothing_is_taken_over():
    assert taken(after(lot(300, 1))) == []
    assert taken(after(lot(300, 1, charge="gone"), percent=D(50))) == []
