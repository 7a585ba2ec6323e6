"""Which rule is in force: a customer's own over its contract's, over its offering's, over its plan's.

The highest layer that says anything about a feature decides alone, with its window, its limit and its kind. Within a layer
several owners add up: two plans with 1,000 units each give 2,000; one without a limit gives no limit; a rule that takes the
feature away counts only where no other of its layer gives it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from aforo.kernel.decimals import EXACT

from .records import LimitType
from .windows import Window

Layer = Literal["PLAN", "OFFERING", "CONTRACT", "CUSTOMER"]
# From the lowest to the highest.
LAYERS: tuple[Layer, ...] = ("PLAN", "OFFERING", "CONTRACT", "CUSTOMER")
# Whose a rule is: the layer, and the code or external_id in it.
Owner = tuple[Layer, str]


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
    """A subscription as billing tells it.

    boundaries: of its billing periods around now, in order; n + 1 instants are n periods that follow one another.
    """

    subscription: str
    offerings: tuple[str, ...]
    plans: tuple[str, ...]
    contracts: tuple[str, ...]
    is_active: bool
    started_at: datetime
    boundaries: tuple[datetime, ...] = ()

    @property
    def owners(self) -> list[Owner]:
        """Whose rules hold for it."""
        return [
            *(("PLAN", code) for code in self.plans),
            *(("OFFERING", code) for code in self.offerings),
            *(("CONTRACT", code) for code in self.contracts),
        ]


@dataclass(frozen=True, slots=True)
class InForce:
    """What a customer has of a feature. rules: those that gave it, the one that set window and kind first.

    billing: the boundaries of the billing periods of the subscription that gave it.
    """

    layer: Layer
    rules: tuple[Rule, ...]
    limit: Decimal | None
    value: str
    limit_type: LimitType
    window: Window
    billing: tuple[datetime, ...] = ()

    @property
    def sentence(self) -> str:
        """Why, for people: "1000 from the plan pro, 500 from the plan extra"."""
        said = []
        for rule in self.rules:
            amount = rule.value or ("no limit" if rule.limit is None else f"{rule.limit.normalize():f}")
            said.append(f"{amount} from the {rule.layer.lower()} {rule.owner}")
        return ", ".join(said)


class Rulebook:
    """A tenant's rules at an instant, by their owners; asked about one customer after the other.

    What a subscription gives is worked out once for all customers who have one that holds the same, and nothing else.
    """

    def __init__(self, rules: Iterable[Rule], at: datetime) -> None:
        self._in_force: dict[Owner, list[Rule]] = defaultdict(list)
        self._changes_at: dict[Owner, datetime] = {}
        self._given: dict[tuple[Owner, ...], dict[str, InForce]] = {}
        for rule in rules:
            owner = (rule.layer, rule.owner)
            if rule.is_in_force(at):
                self._in_force[owner].append(rule)
            moments = [
                moment for moment in (rule.starts_at, rule.ends_at) if moment is not None and moment > at
            ]
            if moments:
                self._changes_at[owner] = min(*moments, self._changes_at.get(owner, moments[0]))

    def in_force(self, customer: str, holdings: Sequence[Holding]) -> dict[str, InForce]:
        """What a customer has, by feature; what it has not is not there.

        customer: its external_id. holdings: all of the customer's; only active ones bring anything.
        """
        held = _active(holdings)
        own = self._in_force.get(("CUSTOMER", customer), [])
        if len(held) != 1 or own:
            return self._resolved(own, held)
        (holding,) = held
        owners = tuple(holding.owners)
        given = self._given.get(owners)
        if given is None:
            given = self._given[owners] = self._resolved([], held)
        return {feature: replace(has, billing=holding.boundaries) for feature, has in given.items()}

    def changes_at(self, customer: str, holdings: Sequence[Holding]) -> datetime | None:
        """When the next rule of these begins or ends; None for never."""
        owners: list[Owner] = [("CUSTOMER", customer)]
        owners += (owner for holding in _active(holdings) for owner in holding.owners)
        return min((self._changes_at[owner] for owner in owners if owner in self._changes_at), default=None)

    def _resolved(self, own: Sequence[Rule], held: Sequence[Holding]) -> dict[str, InForce]:
        found: dict[str, dict[Layer, list[tuple[Rule, Holding | None]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for rule in own:
            # The periods of the oldest subscription, for a window that is the billing period.
            found[rule.feature]["CUSTOMER"].append((rule, held[0] if held else None))
        for holding in held:
            for owner in holding.owners:
                # Two subscriptions of one plan have it twice.
                for rule in self._in_force.get(owner, ()):
                    found[rule.feature][rule.layer].append((rule, holding))
        answers = ((feature, _of_layers(found[feature])) for feature in sorted(found))
        return {feature: answer for feature, answer in answers if answer is not None}


def _active(holdings: Sequence[Holding]) -> list[Holding]:
    """The oldest first."""
    return sorted(
        (one for one in holdings if one.is_active), key=lambda one: (one.started_at, one.subscription)
    )


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
        billing=holding.boundaries if holding else (),
    )
