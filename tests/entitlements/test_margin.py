"""Margins and levels, worked out; and what holds for any numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.margin import MarginStanding, Policy, evaluate, level_of, margin_percent, withheld

ALERT = Policy()
ENFORCED = Policy(is_enforced=True)
D = Decimal


def test_a_margin_is_a_share_of_revenue():
    # (2,000 - 3,200) / 2,000 = -0.6
    assert margin_percent(D("2000"), D("3200")) == D("-60")
    # (900 - 600) / 900 = 0.333333…
    assert margin_percent(D("900"), D("600")) == D("33.3333")
    assert margin_percent(D("0"), D("3200")) is None


@pytest.mark.parametrize(
    ("cost", "level", "action", "retry_after_s"),
    [
        ("1600", 0, "none", 0),  # 20 %: on the floor is not below it
        ("1600.01", 1, "warn", 0),
        ("1800", 1, "warn", 0),  # 10 %
        ("1801", 2, "throttle", 60),
        ("2000", 2, "throttle", 60),  # 0 %
        ("2001", 3, "block", 1800),
        ("3200", 3, "block", 1800),  # -60 %
    ],
)
def test_each_level_of_a_revenue_of_2000(cost: str, level: int, action: str, retry_after_s: int):
    standing = evaluate(ENFORCED, D("2000"), D(cost))
    assert (standing.level, standing.action, standing.retry_after_s) == (level, action, retry_after_s)
    # An alert has the same level and does no more than warn.
    warned = evaluate(ALERT, D("2000"), D(cost))
    assert warned == MarginStanding(level=level, action="warn" if level else "none")


def test_a_throttle_gives_way_to_a_downgrade():
    cheaper = Policy(is_enforced=True, downgrades={"gpt-4o": "gpt-4o-mini"})
    standing = evaluate(cheaper, D("2000"), D("1900"))
    assert standing == MarginStanding(level=2, action="downgrade", downgrades={"gpt-4o": "gpt-4o-mini"})
    # L3 blocks all the same.
    assert evaluate(cheaper, D("2000"), D("3200")).action == "block"


def test_a_level_is_left_only_past_the_hysteresis():
    # Of 1,000, day by day: -1 %, 4.9 %, 5 %, 14.9 %, 15 %, 24.9 %, 25 %.
    level, levels = 0, []
    for cost in ("1010", "951", "950", "851", "850", "751", "750"):
        level = level_of(ENFORCED, D("1000"), D(cost), level)
        levels.append(level)
    assert levels == [3, 3, 2, 2, 1, 1, 0]


def test_nothing_is_judged_below_the_minimum_revenue():
    young = Policy(is_enforced=True, minimum_revenue=D("100"))
    assert evaluate(young, D("99.99"), D("500"), last_level=3).level == 0
    assert evaluate(young, D("100"), D("500")).level == 3
    # Without a minimum, costs without revenue are below every floor, and nothing at all is well.
    assert evaluate(ENFORCED, D("0"), D("1")).level == 3
    assert evaluate(ENFORCED, D("0"), D("0")).level == 0


def test_what_an_edge_would_refuse():
    # 50 % of 101 is 50.5: the throttle refuses 50.
    assert withheld(evaluate(ENFORCED, D("2000"), D("1900")), 101) == 50
    assert withheld(evaluate(ENFORCED, D("2000"), D("3200")), 101) == 101
    assert withheld(evaluate(ALERT, D("2000"), D("3200")), 101) == 0


amounts = st.decimals(min_value=0, max_value=10**9, places=4)
levels = st.integers(0, 3)


@given(amounts, amounts, amounts, levels)
def test_more_cost_never_lowers_a_level(revenue: Decimal, cost: Decimal, more: Decimal, last: int):
    assert level_of(ALERT, revenue, cost + more, last) >= level_of(ALERT, revenue, cost, last)


@given(amounts, amounts, levels)
def test_the_same_figures_again_change_nothing(revenue: Decimal, cost: Decimal, last: int):
    level = level_of(ALERT, revenue, cost, last)
    assert level_of(ALERT, revenue, cost, level) == level


@given(st.integers(1, 3), st.lists(st.decimals(min_value=0, max_value=D("4.99"), places=2), max_size=20))
def test_inside_the_band_a_level_never_flaps(level: int, above: list[Decimal]):
    # From a level on, margins between its floor and the floor plus 5 points leave it where it is.
    floor = ALERT.floors[level - 1]
    for points in above:
        assert level_of(ALERT, D("100"), D("100") - floor - points, level) == level


@given(amounts, amounts, levels)
def test_a_last_level_only_holds_up(revenue: Decimal, cost: Decimal, last: int):
    fresh = level_of(ALERT, revenue, cost, 0)
    assert fresh <= level_of(ALERT, revenue, cost, last) <= max(fresh, last)
