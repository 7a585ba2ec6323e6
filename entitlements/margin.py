"""The margin guard's judgement, pure: revenue, cost, a policy and the last level give the level and what follows of it.

Source: docs/edge/margin.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from aforo.kernel.decimals import EXACT, rounded

from .records import MarginAction

HUNDRED = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a margin may fall to, and what happens below.

    floors: of L1, L2 and L3 in percent, each below the one before. hysteresis: points above its floor that a margin reaches
    before the level is released. minimum_revenue: with less, in the currency judged in, nothing is judged.
    is_enforced: False only warns. throttle_percent: of the calls at L2; not used where there are downgrades.
    downgrades: what is served instead at L2, {"gpt-4o": "gpt-4o-mini"}. retry_after_s: at L2 and at L3.
    """

    floors: tuple[Decimal, Decimal, Decimal] = (Decimal(20), Decimal(10), ZERO)
    hysteresis: Decimal = Decimal(5)
    minimum_revenue: Decimal = ZERO
    is_enforced: bool = False
    throttle_percent: int = 50
    downgrades: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: tuple[int, int] = (60, 1800)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginStanding:
    """What the edge does about a customer's margin.

    level: 0 where all is well, to 3. throttle_percent, retry_after_s, downgrades: set where the action uses them.
    """

    level: int = 0
    action: MarginAction = "none"
    throttle_percent: int = 0
    retry_after_s: int = 0
    downgrades: Mapping[str, str] = field(default_factory=dict)


WELL = MarginStanding()


def margin_percent(revenue: Decimal, cost: Decimal) -> Decimal | None:
    """(revenue − cost) / revenue in percent, to four places; None without revenue, of which nothing is a share.

    2,000 of revenue and 3,200 of cost: −1,200 / 2,000 = −60 %.
    """
    if revenue <= ZERO:
        return None
    lost = EXACT.divide(EXACT.multiply(EXACT.subtract(revenue, cost), HUNDRED), revenue)
    return rounded(lost, places=4, mode="half_up")


def level_of(policy: Policy, revenue: Decimal, cost: Decimal, last_level: int) -> int:
    """The level after the one before, 0 to 3.

    A level is reached below its floor, and left at the floor plus the hysteresis: floors 20, 10, 0 and 5 points; 9 % is L2,
    12 % after it still is, 15 % is L1, and 25 % is no level. With less than the minimum revenue there is none. Costs without
    revenue are below every floor.
    """
    if revenue < policy.minimum_revenue:
        return 0
    reached = max(
        (level for level, floor in enumerate(policy.floors, 1) if _is_below(floor, revenue, cost)), default=0
    )
    held = max(
        (
            level
            for level, floor in enumerate(policy.floors[:last_level], 1)
            if _is_below(EXACT.add(floor, policy.hysteresis), revenue, cost)
        ),
        default=0,
    )
    return max(reached, held)


def evaluate(policy: Policy, revenue: Decimal, cost: Decimal, last_level: int = 0) -> MarginStanding:
    """What a policy makes of a window's revenue and cost, both in one currency.

    last_level: of the evaluation before; 0 for the first. L1 warns; L2 refuses a share of the calls, or serves something cheaper where
    the policy has downgrades; L3 refuses all. A policy that is not enforced only warns.

    2,000 and 3,200 under the default floors, enforced: −60 %, level 3, block, retry after 1,800 seconds.
    """
    level = level_of(policy, revenue, cost, last_level)
    if level == 0:
        return WELL
    if level == 1 or not policy.is_enforced:
        return MarginStanding(level=level, action="warn")
    retry_after_2_s, retry_after_3_s = policy.retry_after_s
    if level == 3:
        return MarginStanding(level=3, action="block", retry_after_s=retry_after_3_s)
    if policy.downgrades:
        return MarginStanding(level=2, action="downgrade", downgrades=dict(policy.downgrades))
    return MarginStanding(
        level=2,
        action="throttle",
        throttle_percent=policy.throttle_percent,
        retry_after_s=retry_after_2_s,
    )


def withheld(standing: MarginStanding, calls: int) -> int:
    """Of so many calls, how many an edge would refuse: all at a block, the throttle's share rounded down, else none."""
    match standing.action:
        case "block":
            return calls
        case "throttle":
            return calls * standing.throttle_percent // 100
        case _:
            return 0


def _is_below(floor: Decimal, revenue: Decimal, cost: Decimal) -> bool:
    """Whether (revenue − cost) / revenue × 100 < floor, without a division that would round."""
    if revenue <= ZERO:
        return cost > ZERO
    margin = EXACT.multiply(EXACT.subtract(revenue, cost), HUNDRED)
    return margin < EXACT.multiply(floor, revenue)
