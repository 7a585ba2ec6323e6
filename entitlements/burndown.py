"""Burning grants down: what a window uses beyond its limit is taken from grants, and what is left goes on.

Lower priority first, then what ends soonest, then the oldest. A grant that ends loses what is left of it; nothing is taken
back from a window that used it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Grant:
    """amount: units, zero or more. expires_at: None for never. key: names it, and decides last."""

    key: str
    amount: Decimal
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    created_at: datetime

    def is_alive(self, at: datetime) -> bool:
        return self.effective_at <= at and (self.expires_at is None or at < self.expires_at)

    @property
    def order(self) -> tuple[int, bool, float, float, str]:
        end = self.expires_at
        return (
            self.priority,
            end is None,
            0.0 if end is None else end.timestamp(),
            self.created_at.timestamp(),
            self.key,
        )


@dataclass(frozen=True, slots=True)
class Excess:
    """What a window used beyond its limit, zero or more."""

    window: Period
    units: Decimal


@dataclass(frozen=True, slots=True)
class Segment:
    """What one window took. taken: units by grant. uncovered: units that no grant had."""

    window: Period
    taken: dict[str, Decimal]
    uncovered: Decimal


@dataclass(frozen=True, slots=True)
class BurnDown:
    """left: what each grant has at the instant; 0 for one that is over or has not begun. history: by window, in order."""

    left: dict[str, Decimal]
    history: tuple[Segment, ...]

    def extra_of(self, window: Period) -> Decimal:
        """Units that a window has beside its limit: what it took already, and what is left for it."""
        taken = sum((sum(one.taken.values(), ZERO) for one in self.history if one.window == window), ZERO)
        return EXACT.add(taken, sum(self.left.values(), ZERO))


def burnt_down(grants: Sequence[Grant], excesses: Sequence[Excess], at: datetime) -> BurnDown:
    """What is left of each grant at an instant.

    excesses: of the windows up to the one that holds the instant, in order. A window takes from grants that were alive in
    any moment of it up to the instant.

    100 until June and 50 without end; May used 120 beyond its limit: 100 from the first, 20 from the second; 30 are left.
    """
    balances = {grant.key: grant.amount for grant in grants}
    history = []
    for excess in excesses:
        needed = excess.units
        taken: dict[str, Decimal] = {}
        until = min(excess.window.end, at)
        for grant in sorted(grants, key=lambda one: one.order):
            begins_too_late = grant.effective_at > until
            is_over = grant.expires_at is not None and grant.expires_at <= excess.window.start
            if begins_too_late or is_over or needed <= ZERO:
                continue
            part = min(needed, balances[grant.key])
            if part > ZERO:
                taken[grant.key] = part
                balances[grant.key] = EXACT.subtract(balances[grant.key], part)
                needed = EXACT.subtract(needed, part)
        history.append(Segment(excess.window, taken, max(ZERO, needed)))
    left = {grant.key: balances[grant.key] if grant.is_alive(at) else ZERO for grant in grants}
    return BurnDown(left, tuple(history))
