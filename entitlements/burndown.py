"""Burning grants down: what a window uses beyond its limit is taken from grants, and what is left goes on.

Lower priority first, then what expires soonest, then the oldest. As time goes by:

the window turns   of each balance there stays min(max_rollover, max(balance, min_rollover)); unless set, all of it
a grant recurs     its balance is its amount again, whatever was left; where the window turns at the same instant, after that
units are used     those beyond the limit are taken from grants that live; what none has is owed until one begins or recurs,
                   and forgotten when the window turns
a grant ends       expired or revoked, it loses what is left; nothing is taken back from a window that used it

100 every month from 15 March, of which at most 30 roll over, beside a limit by calendar month:

15 March   begins with 100; March uses 20 beyond its limit, 80 are left
1 April    the window turns: min(30, 80) = 30 are left
10 April   April is 45 beyond its limit: 30 are taken and 15 owed
15 April   recurs: 100, of which the 15 are taken, 85 are left
1 May      the window turns: min(30, 85) = 30 are left
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import Cycle
from aforo.kernel.decimals import EXACT, total
from aforo.kernel.periods import Period

ZERO = Decimal(0)
RECURRENCES = ("day", "week", "month", "year")
INSTANT = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Recurrence:
    """At every so many boundaries of a cycle, whose anchor is the grant's beginning."""

    cycle: Cycle
    count: int = 1

    def next_after(self, at: datetime) -> datetime:
        """at: not before the anchor."""
        index = self.cycle.index_at(at) // self.count
        return self.cycle.boundary((index + 1) * self.count)


def recurrence_from(start: datetime, unit: str, count: int, zone: ZoneInfo) -> Recurrence:
    """Every *count* days, weeks, months or years of the zone's calendar from an instant on, at its local time of day.

    Every month from 31 January at 09:00 in Berlin: 28 February, 31 March, 30 April, at 09:00 in winter and in summer.
    """
    local = start.astimezone(zone)
    return Recurrence(Cycle(unit, local.date(), zone, local.time()), count)


@dataclass(frozen=True, slots=True)
class Grant:
    """amount: units, zero or more, that it has when it begins and each time it recurs. key: names it, and decides last.

    expires_at, revoked_at: None for never. recurrence: None for a grant that is filled once.
    max_rollover: None for all that is left. min_rollover: above neither amount nor max_rollover.
    """

    key: str
    amount: Decimal
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None = None
    recurrence: Recurrence | None = None
    max_rollover: Decimal | None = None
    min_rollover: Decimal = ZERO

    @property
    def ends_at(self) -> datetime | None:
        return min((at for at in (self.expires_at, self.revoked_at) if at is not None), default=None)

    def is_over(self, at: datetime) -> bool:
        return self.ends_at is not None and self.ends_at <= at

    def is_alive(self, at: datetime) -> bool:
        return self.effective_at <= at and not self.is_over(at)

    def next_fill_at(self, at: datetime) -> datetime | None:
        """When it begins or recurs next, after an instant; None for never."""
        if at < self.effective_at:
            filled_at = self.effective_at
        elif self.recurrence is not None:
            filled_at = self.recurrence.next_after(at)
        else:
            return None
        return None if self.is_over(filled_at) else filled_at

    def rolled_over(self, balance: Decimal) -> Decimal:
        """What stays of a balance when the window turns: 30 of 80, with a maximum of 30."""
        kept = max(balance, self.min_rollover)
        return kept if self.max_rollover is None else min(kept, self.max_rollover)

    @property
    def order(self) -> tuple[int, bool, float, float, str]:
        # By when it would expire: revoked, it burns in the order of before, so that what was taken stays taken.
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
    """What a window used beyond its limit, zero or more.

    units_at: what it had used so by the turning points inside it; those that are not there are still to come.
    """

    window: Period
    units: Decimal
    units_at: Mapping[datetime, Decimal] = field(default_factory=dict)


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
        taken = (units for one in self.history if one.window == window for units in one.taken.values())
        return total([*taken, *self.left.values()])


def burnt_down(grants: Sequence[Grant], excesses: Sequence[Excess], at: datetime) -> BurnDown:
    """What is left of each grant at an instant.

    excesses: of the windows up to the one that holds the instant, in order and without gaps. A window takes from grants
    that were alive in any moment of it up to the instant; a grant that ends or recurs parts what was used before from what
    was used after, and one that begins does not: it pays for what its window has used, too.

    100 until June and 50 without end; May used 120 beyond its limit: 100 from the first, 20 from the second; 30 are left.
    """
    ordered = sorted(grants, key=lambda one: one.order)
    balances = {grant.key: grant.amount for grant in grants}
    filled = turning_points(grants, [one.window for one in excesses], at)
    points = sorted(filled)
    history = []
    for excess in excesses:
        start, end = excess.window.start, min(excess.window.end, at + INSTANT)
        for grant in grants:
            if grant.effective_at < start:
                balances[grant.key] = grant.rolled_over(balances[grant.key])
        inside = points[bisect_right(points, start) : bisect_left(points, end)]
        taken: dict[str, Decimal] = {}
        owed = ZERO
        for since, until, used in _stretches(excess, [start, *inside, end]):
            for grant in filled.get(since, ()):
                balances[grant.key] = grant.amount
            owed = EXACT.add(owed, used)
            for grant in ordered:
                part = min(owed, balances[grant.key])
                if part > ZERO and grant.effective_at < until and not grant.is_over(since):
                    taken[grant.key] = EXACT.add(taken.get(grant.key, ZERO), part)
                    balances[grant.key] = EXACT.subtract(balances[grant.key], part)
                    owed = EXACT.subtract(owed, part)
        history.append(Segment(excess.window, taken, owed))
    left = {grant.key: balances[grant.key] if grant.is_alive(at) else ZERO for grant in grants}
    return BurnDown(left, tuple(history))


def left_for_next(grants: Sequence[Grant], excesses: Sequence[Excess], turns_at: datetime) -> Decimal:
    """What all grants have together once the last window turns, if nothing more is used until then.

    60 left of 100, of which at most 30 roll over: 30. If it recurs when the window turns: 100.
    """
    following = Excess(Period(turns_at, turns_at + INSTANT), ZERO)
    return total(burnt_down(grants, [*excesses, following], turns_at).left.values())


def turning_points(
    grants: Sequence[Grant], windows: Sequence[Period], at: datetime
) -> dict[datetime, list[Grant]]:
    """When grants ended or recurred in some windows, up to an instant, and which of them were filled then.

    windows: in order and without gaps.
    """
    found: dict[datetime, list[Grant]] = defaultdict(list)
    if not windows:
        return found
    span = Period(windows[0].start, max(windows[0].start, min(windows[-1].end, at + INSTANT)))
    for grant in grants:
        if grant.ends_at is not None and grant.ends_at in span:
            found[grant.ends_at] += []
        filled_at = grant.next_fill_at(max(span.start - INSTANT, grant.effective_at))
        while filled_at is not None and filled_at in span:
            found[filled_at].append(grant)
            filled_at = grant.next_fill_at(filled_at)
    return found


def windows_needed_since(grants: Sequence[Grant], at: datetime) -> datetime | None:
    """From when on windows decide what grants have at an instant or later; None where all are over by then.

    What a grant had when another one began depends on what it lived through, and so on the grants before it.

    A from January to March, B from February to May, C from June on: since June for July, and since January for April.
    """
    since = min((one.effective_at for one in grants if not one.is_over(at)), default=None)
    if since is None:
        return None
    while (
        earlier := min((one.effective_at for one in grants if not one.is_over(since)), default=since)
    ) < since:
        since = earlier
    return since


def _stretches(excess: Excess, edges: Sequence[datetime]) -> list[tuple[datetime, datetime, Decimal]]:
    """What a window used between each two edges."""
    by_edge = [*(excess.units_at.get(edge, excess.units) for edge in edges[1:-1]), excess.units]
    # Usage may go down again, as a level does: no more was used before than it came to.
    by_edge = list(accumulate(reversed(by_edge), min))[::-1]
    used = [EXACT.subtract(later, earlier) for earlier, later in pairwise([ZERO, *by_edge])]
    return [(since, until, units) for (since, until), units in zip(pairwise(edges), used, strict=True)]
