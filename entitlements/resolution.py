"""Which rule is in force: a customer's own over its contract's, over its offering's, over its plan's.

The highest layer that says anything about a feature decides alone, with its window, its limit and its kind. Within a layer
several owners add up: two plans with 1,000 units each give 2,000; one without a limit gives no limit; a rule that takes the
feature away counts only where no other of its layer gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period

from .records import LimitType
from .windows import Window

Layer = Literal["PLAN", "OFFERING", "CONTRACT", "CUSTOMER"]
# From the lowest to the highest.
LAYERS: tuple[Layer, ...] = ("PLAN", "OFFERING", "CONTRACT", "CUSTOMER")


@dataclass(frozen=True, slots=True)
class Rule:
    """What one owner says about a feature, from starts_at until ends_at (None: without end).

    owner: code of the plan, offering or contract, or the customer's external_id. limit: units of the window; None for no limit.
    value: of a static feature.
    """

    feature: str
    layer: Layer
    owner: str
    is_granted: bool = True
    limit: Decimal | None = None
    value: str = ""
    limit_type: LimitType = "hard"
    window: Window = field(default_factory=Window)
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def is_in_force(self, at: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= at) and (
            self.ends_at is None or at < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """A subscription as billing tells it. periods: its billing periods around now, in order."""

    subscription: str
    offerings: tuple[str, ...]
    plans: tuple[str, ...]
    contracts: tuple[str, ...]
    is_active: bool
    started_at: datetime
    periods: tuple[Period, ...] = ()

    def owns(self, layer: Layer, owner: str) -> bool:
        match layer:
            case "PLAN":
                return owner in self.plans
            case "OFFERING":
                return owner in self.offerings
            case "CONTRACT":
                return owner in self.contracts
            case "CUSTOMER":
                return False


@dataclass(frozen=True, slots=True)
class InForce:
    """What a customer has of a feature. rules: those that gave it, the one that set window and kind first.

    billing: the periods of the subscription that gave it.
    """

    layer: Layer
    rules: tuple[Rule, ...]
    limit: Decimal | None
    value: str
    limit_type: LimitType
    window: Window
    billing: tuple[Period, ...] = ()

    @property
    def sentence(self) -> str:
        """Why, for people: "1000 from the plan pro, 500 from the plan extra"."""
        said = []
        for rule in self.rules:
            amount = rule.value or ("no limit" if rule.limit is None else f"{rule.limit.normalize():f}")
            said.append(f"{amount} from the {rule.layer.lower()} {rule.owner}")
        return ", ".join(said)


def in_force(
    rules: Iterable[Rule], *, customer: str, holdings: Sequence[Holding], at: datetime
) -> dict[str, InForce]:
    """What a customer has at an instant, by feature; what it has not is not there.

    holdings: all of the customer's; only active ones bring anything.
    """
    held = sorted(
        (one for one in holdings if one.is_active), key=lambda one: (one.started_at, one.subscription)
    )
    found: dict[str, dict[Layer, list[tuple[Rule, Holding | None]]]] = {}
    for rule in rules:
        if not rule.is_in_force(at):
            continue
        if rule.layer == "CUSTOMER":
            if rule.owner == customer:
                # The periods of the oldest subscription, for a window that is the billing period.
                found.setdefault(rule.feature, {}).setdefault("CUSTOMER", []).append(
                    (rule, held[0] if held else None)
                )
            continue
        for holding in held:
            # Two subscriptions of one plan have it twice.
            if holding.owns(rule.layer, rule.owner):
                found.setdefault(rule.feature, {}).setdefault(rule.layer, []).append((rule, holding))
    answers = ((feature, _of_layers(layers)) for feature, layers in found.items())
    return {feature: answer for feature, answer in answers if answer is not None}


def _of_layers(layers: dict[Layer, list[tuple[Rule, Holding | None]]]) -> InForce | None:
    layer = next(one for one in reversed(LAYERS) if one in layers)
    given = [(rule, holding) for rule, holding in layers[layer] if rule.is_granted]
    if not given:
        return None
    given.sort(key=lambda pair: (pair[1].started_at.timestamp() if pair[1] else 0.0, pair[0].owner))
    first, holding = given[0]
    limits = [rule.limit for rule, _ in given]
    total: Decimal | None = Decimal(0)
    for limit in limits:
        total = None if limit is None or total is None else EXACT.add(total, limit)
    return InForce(
        layer=layer,
        rules=tuple(rule for rule, _ in given),
        limit=total,
        value=first.value,
        limit_type=first.limit_type,
        window=first.window,
        billing=holding.periods if holding else (),
    )
