"""What windows have taken from customers' grants, and what is left: billed usage, burnt down by entitlements/burndown.py."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from metering.aggregation import Aggregation
from metering.intake.draft import AGE_MAX
from metering.meters import Meter
from metering.selectors.usage import Wanted, quantities_of

from ..burndown import (
    INSTANT,
    BurnDown,
    Excess,
    Grant,
    burnt_down,
    left_for_next,
    turning_points,
    windows_needed_since,
)
from ..resolution import InForce
from ..windows import HOUR, span_at

ZERO = Decimal(0)
# Days of almost three years, or hours of six weeks. What earlier windows took counts as not taken.
WINDOWS_MAX = 1_000
# Of these, the parts of a window add up, and no hour is read twice.
_ADDING = (Aggregation.COUNT, Aggregation.SUM)


@dataclass(frozen=True, slots=True)
class Burning:
    """A customer's grants of a feature, and what else decides how they burn.

    limit, has: of now; past windows are reckoned by them, too. since: the earliest instant that is asked about.
    """

    customer: Customer
    meter: Meter
    limit: Decimal
    has: InForce
    grants: Sequence[Grant]
    since: datetime


class Burnt(NamedTuple):
    """for_next: units of grants with which the window after the present one begins; 0 where none follows."""

    down: BurnDown
    for_next: Decimal


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is to be known of a window's usage. points: its turning points. wanted: up to each of them, and all of it."""

    window: Period
    points: list[datetime]
    wanted: list[Wanted]


def burnt_of(tenant: Tenant, burning: Sequence[Burning], at: datetime) -> list[Burnt]:
    """What windows up to an instant took from each customer's grants, and what is left.

    The usage of all that counts and sums is one query; of other aggregations each window is read by itself.
    """
    readings = [_readings(one, at) for one in burning]
    wanted = [each for of_one in readings for reading in of_one for each in reading.wanted]
    quantities = iter(quantities_of(tenant=tenant, wanted=wanted))
    burnt = []
    for one, of_one in zip(burning, readings, strict=True):
        excesses = [_excess(one, reading, [next(quantities) for _ in reading.wanted]) for reading in of_one]
        turns_at = span_at(one.has.window, at, one.customer.zone, one.has.billing).resets_at
        for_next = ZERO if turns_at is None else left_for_next(one.grants, excesses, turns_at)
        burnt.append(Burnt(burnt_down(one.grants, excesses, at), for_next))
    return burnt


def _windows(one: Burning, at: datetime) -> list[Period]:
    """The windows up to the present one that decide what is asked. One that slides takes nothing for good."""
    since = windows_needed_since(one.grants, one.since)
    if one.has.window.kind == "SLIDING" or since is None:
        return []
    periods: list[Period] = []
    moment = at
    while len(periods) < WINDOWS_MAX:
        span = span_at(one.has.window, moment, one.customer.zone, one.has.billing)
        period = span.period
        # The calendar month before a subscription reaches into its first period.
        periods.append(Period(period.start, min(period.end, periods[-1].start)) if periods else period)
        if period.start <= since or span.resets_at is None:
            break
        moment = period.start - INSTANT
    return periods[::-1]


def _readings(one: Burning, at: datetime) -> list[_Reading]:
    windows = _windows(one, at)
    all_points = sorted(turning_points(one.grants, windows, at))
    readings = []
    for window in windows:
        points = all_points[bisect_right(all_points, window.start) : bisect_left(all_points, window.end)]
        edges = [_measured(moment, at) for moment in (window.start, *points, window.end)]
        starts = edges[:-1] if _is_adding(one.meter) else edges[:1] * (len(edges) - 1)
        wanted = [
            Wanted(one.customer.pk, one.meter, Period(start, end))
            for start, end in zip(starts, edges[1:], strict=True)
        ]
        readings.append(_Reading(window, points, wanted))
    return readings


def _excess(one: Burning, reading: _Reading, quantities: Sequence[Decimal]) -> Excess:
    used = accumulate(quantities, EXACT.add) if _is_adding(one.meter) else quantities
    over = [max(ZERO, EXACT.subtract(each, one.limit)) for each in used]
    return Excess(reading.window, over[-1], dict(zip(reading.points, over, strict=False)))


def _is_adding(meter: Meter) -> bool:
    return meter.aggregation in _ADDING and meter.conversion is None


def _measured(moment: datetime, at: datetime) -> datetime:
    """Where usage is cut for an instant: there, or after its hour where the events may lie in the archive."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return moment if moment == hour or moment > at - AGE_MAX else hour + HOUR
