"""Which layer decides, and what adds up within one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.resolution import Holding, Rule, Rulebook
from entitlements.windows import Window

NOW = datetime(2026, 3, 15, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def holding(
    code: str = "sub-1", *, plans: tuple[str, ...] = ("pro",), active: bool = True, since: int = 1
) -> Holding:
    return Holding(code, ("standard",), plans, ("deal",), active, datetime(2026, 1, since, tzinfo=UTC))


def rule(layer: Any, owner: str, limit: int | None = None, **changes: Any) -> Rule:
    return Rule("search", layer, owner, limit=None if limit is None else Decimal(limit), **changes)


def limit(*rules: Rule, holdings: tuple[Holding, ...] = (holding(),), at: datetime = NOW):
    found = Rulebook(rules, at).in_force("cust_abc", holdings).get("search")
    return None if found is None else found.limit


PLAN, OFFERING = rule("PLAN", "pro", 1_000), rule("OFFERING", "standard", 2_000)
CONTRACT, CUSTOMER = rule("CONTRACT", "deal", 3_000), rule("CUSTOMER", "cust_abc", 10)


def test_the_highest_layer_that_says_anything_decides_alone():
    assert limit(PLAN) == 1_000
    assert limit(PLAN, OFFERING) == 2_000
    assert limit(PLAN, OFFERING, CONTRACT) == 3_000
    # Even where it gives less.
    assert limit(PLAN, OFFERING, CONTRACT, CUSTOMER) == 10
    assert limit(PLAN, rule("CUSTOMER", "cust_abc", is_granted=False)) is None
    own = rule("CUSTOMER", "cust_abc", is_granted=False)
    assert Rulebook([PLAN, own], NOW).in_force("cust_abc", [holding()]) == {}


def test_rules_of_others_say_nothing():
    assert limit(rule("PLAN", "free", 5)) is None
    assert limit(rule("CUSTOMER", "cust_xyz", 5)) is None
    assert limit(PLAN, holdings=(holding(active=False),)) is None


def test_within_a_layer_owners_add_up_and_no_limit_wins():
    both = (holding(plans=("pro", "extra")),)
    extra = rule("PLAN", "extra", 500)
    assert limit(PLAN, extra, holdings=both) == 1_500
    assert Rulebook([PLAN, rule("PLAN", "extra")], NOW).in_force("c", both)["search"].limit is None
    # Two subscriptions of one plan have it twice.
    assert limit(PLAN, holdings=(holding(), holding("sub-2", since=2))) == 2_000
    # One that takes it away, beside one that gives it.
    assert limit(PLAN, rule("PLAN", "extra", is_granted=False), holdings=both) == 1_000


def test_the_oldest_subscription_sets_window_and_kind():
    daily = rule("PLAN", "pro", 10, window=Window("CALENDAR", "day"), limit_type="soft")
    monthly = rule("PLAN", "extra", 5)
    held = (holding("young", plans=("extra",), since=9), holding("old", plans=("pro",), since=2))
    found = Rulebook([monthly, daily], NOW).in_force("c", held)["search"]
    assert (found.window, found.limit_type, found.limit) == (Window("CALENDAR", "day"), "soft", 15)
    assert found.sentence == "10 from the plan pro, 5 from the plan extra"


@pytest.mark.parametrize(("at", "expected"), [(NOW, 1_000), (JUNE, 2_000)])
def test_a_rule_counts_from_its_start_until_its_end(at, expected):
    rules = (rule("PLAN", "pro", 1_000, ends_at=JUNE), rule("PLAN", "pro", 2_000, starts_at=JUNE))
    assert limit(*rules, at=at) == expected


def test_the_billing_periods_are_those_of_the_subscription_that_gave_it():
    """Also where a customer before held the same, and was worked out already."""
    first = Holding("sub-1", (), ("pro",), (), True, NOW, (NOW, JUNE))
    second = Holding("sub-2", (), ("pro",), (), True, NOW, (JUNE, datetime(2026, 7, 1, tzinfo=UTC)))
    book = Rulebook([PLAN], NOW)
    assert book.in_force("c", [first])["search"].billing == (NOW, JUNE)
    assert book.in_force("d", [second])["search"].billing == second.boundaries


def test_only_rules_of_what_a_customer_holds_change_what_it_has():
    july = datetime(2026, 7, 1, tzinfo=UTC)
    book = Rulebook(
        [
            rule("PLAN", "pro", 1_000, ends_at=july),
            rule("PLAN", "free", 5, starts_at=JUNE),
            rule("CUSTOMER", "cust_xyz", 5, starts_at=JUNE),
            rule("CONTRACT", "deal", 7, starts_at=NOW, ends_at=datetime(2026, 8, 1, tzinfo=UTC)),
        ],
        NOW,
    )
    # Of pro and deal the sooner end; a start that has passed changes nothing any more.
    assert book.changes_at("cust_abc", [holding()]) == july
    assert book.changes_at("cust_abc", [holding(plans=("free",))]) == JUNE
    assert book.changes_at("cust_xyz", []) == JUNE
    assert book.changes_at("cust_abc", [holding(active=False)]) is None


CODES = st.sampled_from(["a", "b"])
HOLDINGS = st.lists(
    st.builds(
        Holding,
        subscription=st.sampled_from(["sub-1", "sub-2"]),
        offerings=st.lists(CODES, unique=True).map(tuple),
        plans=st.lists(CODES, unique=True).map(tuple),
        contracts=st.just(()),
        is_active=st.booleans(),
        started_at=st.sampled_from([NOW, JUNE]),
        boundaries=st.sampled_from([(), (NOW, JUNE)]),
    ),
    max_size=2,
    unique_by=lambda one: one.subscription,
)
RULES = st.lists(
    st.builds(
        rule,
        layer=st.sampled_from(["PLAN", "OFFERING", "CUSTOMER"]),
        owner=CODES,
        limit=st.none() | st.integers(0, 9),
        is_granted=st.booleans(),
        starts_at=st.none() | st.sampled_from([NOW, JUNE]),
    ),
    max_size=6,
)


@given(RULES, st.lists(st.tuples(CODES, HOLDINGS), max_size=5))
def test_who_was_asked_about_before_changes_no_answer(rules, customers):
    book = Rulebook(rules, NOW)
    for name, holdings in customers:
        assert book.in_force(name, holdings) == Rulebook(rules, NOW).in_force(name, holdings)
