"""Which layer decides, and what adds up within one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from entitlements.resolution import Holding, Rule, in_force
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
    found = in_force(rules, customer="cust_abc", holdings=holdings, at=at).get("search")
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
    assert in_force([PLAN, rule("CUSTOMER", "cust_abc", is_granted=False)], customer="cust_abc",
                    holdings=[holding()], at=NOW) == {}  # fmt: skip


def test_rules_of_others_say_nothing():
    assert limit(rule("PLAN", "free", 5)) is None
    assert limit(rule("CUSTOMER", "cust_xyz", 5)) is None
    assert limit(PLAN, holdings=(holding(active=False),)) is None


def test_within_a_layer_owners_add_up_and_no_limit_wins():
    both = (holding(plans=("pro", "extra")),)
    extra = rule("PLAN", "extra", 500)
    assert limit(PLAN, extra, holdings=both) == 1_500
    assert (
        in_force([PLAN, rule("PLAN", "extra")], customer="c", holdings=both, at=NOW)["search"].limit is None
    )
    # Two subscriptions of one plan have it twice.
    assert limit(PLAN, holdings=(holding(), holding("sub-2", since=2))) == 2_000
    # One that takes it away, beside one that gives it.
    assert limit(PLAN, rule("PLAN", "extra", is_granted=False), holdings=both) == 1_000


def test_the_oldest_subscription_sets_window_and_kind():
    daily = rule("PLAN", "pro", 10, window=Window("CALENDAR", "day"), limit_type="soft")
    monthly = rule("PLAN", "extra", 5)
    held = (holding("young", plans=("extra",), since=9), holding("old", plans=("pro",), since=2))
    found = in_force([monthly, daily], customer="c", holdings=held, at=NOW)["search"]
    assert (found.window, found.limit_type, found.limit) == (Window("CALENDAR", "day"), "soft", 15)
    assert found.sentence == "10 from the plan pro, 5 from the plan extra"


@pytest.mark.parametrize(("at", "expected"), [(NOW, 1_000), (JUNE, 2_000)])
def test_a_rule_counts_from_its_start_until_its_end(at, expected):
    rules = (rule("PLAN", "pro", 1_000, ends_at=JUNE), rule("PLAN", "pro", 2_000, starts_at=JUNE))
    assert limit(*rules, at=at) == expected
