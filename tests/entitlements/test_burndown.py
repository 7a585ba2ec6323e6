"""Grants burnt down by hand, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.periods import Period
from entitlements.burndown import Excess, Grant, burnt_down


def month(number: int) -> datetime:
    return datetime(2026 + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def grant(key: str, amount: int, *, priority: int = 100, begins: int = 1, ends: int | None = None) -> Grant:
    expires_at = None if ends is None else month(ends)
    return Grant(key, Decimal(amount), priority, month(begins), expires_at, month(begins))


def excess(number: int, units: int) -> Excess:
    return Excess(Period(month(number), month(number + 1)), Decimal(units))


MID_JUNE = datetime(2026, 6, 15, tzinfo=UTC)


def test_what_ends_soonest_burns_first_and_the_rest_goes_on():
    # May is 120 over its limit: 100 from what ends in June, 20 from the other. 30 are left in June.
    burnt = burnt_down(
        [grant("open", 50), grant("until", 100, ends=6)], [excess(5, 120), excess(6, 0)], MID_JUNE
    )
    assert burnt.history[0].taken == {"until": Decimal(100), "open": Decimal(20)}
    assert burnt.left == {"open": Decimal(30), "until": Decimal(0)}
    assert burnt.extra_of(excess(6, 0).window) == 30


def test_priority_comes_before_everything():
    burnt = burnt_down([grant("late", 50, priority=1), grant("soon", 50, ends=12)], [excess(6, 60)], MID_JUNE)
    assert burnt.history[0].taken == {"late": Decimal(50), "soon": Decimal(10)}


def test_the_present_window_keeps_what_it_has_taken():
    # 40 over its limit so far, from 100: it has 40 + 60 units beside the limit, as at its start.
    burnt = burnt_down([grant("g", 100)], [excess(6, 40)], MID_JUNE)
    assert burnt.left == {"g": Decimal(60)}
    assert burnt.extra_of(excess(6, 40).window) == 100


def test_what_has_ended_or_not_begun_gives_nothing():
    burnt = burnt_down(
        [grant("over", 100, ends=6), grant("to come", 100, begins=7)], [excess(6, 10)], MID_JUNE
    )
    assert burnt.left == {"over": Decimal(0), "to come": Decimal(0)}
    assert burnt.history[0].uncovered == 10


grants = st.lists(
    st.builds(
        lambda key, amount, priority, begins, length: grant(
            str(key), amount, priority=priority, begins=begins, ends=begins + length if length else None
        ),
        st.integers(),
        st.integers(0, 200),
        st.integers(1, 3),
        st.integers(1, 12),
        st.integers(0, 8),
    ),
    max_size=5,
    unique_by=lambda one: one.key,
)


@given(grants, st.lists(st.integers(0, 300), max_size=12))
def test_parts_add_up_and_no_grant_gives_more_than_it_has(given_grants, needs):
    excesses = [excess(number, units) for number, units in enumerate(needs, start=1)]
    burnt = burnt_down(given_grants, excesses, datetime(2027, 1, 1, tzinfo=UTC))
    for each, segment in zip(excesses, burnt.history, strict=True):
        assert sum(segment.taken.values()) + segment.uncovered == each.units
    for one in given_grants:
        taken = sum(segment.taken.get(one.key, 0) for segment in burnt.history)
        assert taken + burnt.left[one.key] <= one.amount
