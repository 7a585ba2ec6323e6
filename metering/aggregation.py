"""The nine aggregations: many values to one quantity, exactly, in whatever order and split they arrive.

fold     takes one event into a partial
merge    joins two partials, so that hours add up to a month and workers need not meet
finish   turns a partial into the quantity

COUNT, SUM, MAX, MIN, AVG and LATEST need only the partial's few numbers, which an hourly bucket keeps.
UNIQUE, PERCENTILE and WEIGHTED_SUM need the values themselves (`keeps_values`), read from the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.periods import Period

ZERO = Decimal(0)
_MICROSECOND = timedelta(microseconds=1)


class Aggregation(StrEnum):
    COUNT = "COUNT"
    SUM = "SUM"
    MAX = "MAX"
    MIN = "MIN"
    AVG = "AVG"
    UNIQUE = "UNIQUE"
    LATEST = "LATEST"
    WEIGHTED_SUM = "WEIGHTED_SUM"
    PERCENTILE = "PERCENTILE"


# `aggregation in IS_BUCKETABLE`: hourly buckets suffice. The others are finished from events.
IS_BUCKETABLE = frozenset(
    {
        Aggregation.COUNT,
        Aggregation.SUM,
        Aggregation.MAX,
        Aggregation.MIN,
        Aggregation.AVG,
        Aggregation.LATEST,
    }
)


class Sample(NamedTuple):
    """What one event brings to an aggregation.

    at: an aware instant. key: the idempotency key, which orders events of the same instant.
    value: the number, or None where it is missing or no number. text: the value as text, None where missing.
    """

    at: datetime
    key: str
    value: Decimal | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Partial:
    """A part of an aggregation; mergeable, so that the order and the split of events do not matter.

    count: events. value_count: those of them with a number. sum, max, min: over the numbers.
    latest_at, latest_key, latest_value: the number with the latest instant, the greater key at the same instant.
    values: the samples in no particular order; empty unless kept.
    """

    count: int = 0
    value_count: int = 0
    sum: Decimal = ZERO
    max: Decimal | None = None
    min: Decimal | None = None
    latest_at: datetime | None = None
    latest_key: str | None = None
    latest_value: Decimal | None = None
    values: tuple[Sample, ...] = ()


EMPTY = Partial()


def fold(
    partial: Partial,
    *,
    value: Decimal | None,
    text: str | None,
    at: datetime,
    key: str,
    keeps_values: bool = False,
) -> Partial:
    """Take one event into a partial; see Sample for the arguments.

    keeps_values: True for an aggregation outside IS_BUCKETABLE. Many events at once: `fold_all`.
    """
    return merge(partial, fold_all((Sample(at, key, value, text),), keeps_values=keeps_values))


def fold_all(samples: Iterable[Sample], *, keeps_values: bool = False) -> Partial:
    """The partial of many events in one pass.

    Values 2, 3 and one event without a number: count 3, value_count 2, sum 5, max 3, min 2.
    """
    kept = tuple(samples)
    values = [sample.value for sample in kept if sample.value is not None]
    if not values:
        return Partial(count=len(kept), values=kept if keeps_values else ())
    latest = max((sample for sample in kept if sample.value is not None), key=_recency)
    return Partial(
        count=len(kept),
        value_count=len(values),
        sum=total(values),
        max=max(values),
        min=min(values),
        latest_at=latest.at,
        latest_key=latest.key,
        latest_value=latest.value,
        values=kept if keeps_values else (),
    )


def merge(a: Partial, b: Partial) -> Partial:
    """Join two partials of different events; merge(a, b) finishes like merge(b, a)."""
    if a.count == 0:
        return b
    if b.count == 0:
        return a
    latest = a if _is_later(a, b) else b
    return Partial(
        count=a.count + b.count,
        value_count=a.value_count + b.value_count,
        sum=EXACT.add(a.sum, b.sum),
        max=_larger(a.max, b.max),
        min=_smaller(a.min, b.min),
        latest_at=latest.latest_at,
        latest_key=latest.latest_key,
        latest_value=latest.latest_value,
        values=a.values + b.values if a.values or b.values else (),
    )


def finish(
    aggregation: Aggregation,
    partial: Partial,
    *,
    percentile: Decimal | None = None,
    period: Period | None = None,
    initial: Decimal | None = None,
) -> Decimal:
    """The quantity of a partial; an aggregation of nothing is 0.

    percentile: above 0 and at most 100; for PERCENTILE only.
    period, initial: for WEIGHTED_SUM only; the span averaged over, and the level at its start (None is 0).
    Raises ValueError where the aggregation lacks its argument, or its values were not kept.

    Values 1, 2, 4: COUNT 3, SUM 7, AVG 2.333… to 60 digits, 50th percentile 2, 95th percentile 4.
    """
    if aggregation not in IS_BUCKETABLE and len(partial.values) != partial.count:
        raise ValueError(f"{aggregation} is finished from events; this partial did not keep them")
    match aggregation:
        case Aggregation.COUNT:
            return Decimal(partial.count)
        case Aggregation.SUM:
            return partial.sum
        case Aggregation.MAX:
            return ZERO if partial.max is None else partial.max
        case Aggregation.MIN:
            return ZERO if partial.min is None else partial.min
        case Aggregation.AVG:
            return EXACT.divide(partial.sum, Decimal(partial.value_count)) if partial.value_count else ZERO
        case Aggregation.LATEST:
            return ZERO if partial.latest_value is None else partial.latest_value
        case Aggregation.UNIQUE:
            # A missing value is not skipped: all events without one are together one more value.
            return Decimal(len({sample.text for sample in partial.values}))
        case Aggregation.PERCENTILE:
            if percentile is None:
                raise ValueError("PERCENTILE needs the percentile")
            return nearest_rank([s.value for s in partial.values if s.value is not None], percentile)
        case Aggregation.WEIGHTED_SUM:
            if period is None:
                raise ValueError("WEIGHTED_SUM needs the period")
            return mean_level(partial.values, period, ZERO if initial is None else initial)


def nearest_rank(numbers: Iterable[Decimal], percentile: Decimal) -> Decimal:
    """The smallest number that at least *percentile* percent of the numbers do not exceed; none gives 0.

    percentile: above 0 and at most 100. Always one of the numbers, never between two.
    Raises ValueError for any other percentile.

    Of 15, 20, 35, 40, 50 the 30th percentile has rank ceil(1.5) = 2: 20. The 50th has rank 3: 35.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"a percentile lies above 0 and at most at 100, not at {percentile}")
    ordered = sorted(numbers)
    if not ordered:
        return ZERO
    # Whole numbers on both sides, so that the 95th percentile of 20 is rank 19 and not 20 by a rounding.
    numerator, denominator = percentile.as_integer_ratio()
    rank = -(-len(ordered) * numerator // (100 * denominator))
    return ordered[rank - 1]


def mean_level(samples: Iterable[Sample], period: Period, initial: Decimal) -> Decimal:
    """The level's integral over the period, divided by the period's length, to the microsecond.

    Each number is the level from its instant until the next one's; *initial* holds until the first.
    Samples outside the period are not looked at. Raises ValueError for a period without length.

    Level 0, from half of the period on 10: (0 × ½ + 10 × ½) = 5.
    """
    length_us = (period.end - period.start) // _MICROSECOND
    if length_us == 0:
        raise ValueError("the mean level over a period without length does not exist")
    integral, level, since = ZERO, initial, period.start
    steps = sorted((s for s in samples if s.value is not None and s.at in period), key=_recency)
    for step in steps:
        integral = _grown(integral, level, since, step.at)
        level, since = _number(step), step.at
    integral = _grown(integral, level, since, period.end)
    return EXACT.divide(integral, Decimal(length_us))


def _grown(integral: Decimal, level: Decimal, since: datetime, until: datetime) -> Decimal:
    return EXACT.fma(level, Decimal((until - since) // _MICROSECOND), integral)


def _number(sample: Sample) -> Decimal:
    return ZERO if sample.value is None else sample.value


# The value comes last so that even equal keys, which intake never lets through, have one answer.
_recency = itemgetter(0, 1, 2)


def _is_later(a: Partial, b: Partial) -> bool:
    if b.latest_at is None or b.latest_key is None or b.latest_value is None:
        return True
    if a.latest_at is None or a.latest_key is None or a.latest_value is None:
        return False
    return (a.latest_at, a.latest_key, a.latest_value) >= (b.latest_at, b.latest_key, b.latest_value)


def _larger(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return b if a is None or (b is not None and b > a) else a


def _smaller(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return b if a is None or (b is not None and b < a) else a
