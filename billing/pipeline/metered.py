"""Metered: what a charge's usage comes to. Quota and aggregation ask the same function, so they cannot disagree."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import total
from aforo.kernel.periods import Period
from metering.aggregation import EMPTY, Aggregation, Partial, finish, mean_level, merge

from ..proration import prorated, share
from .state import ZERO, Charge, HourUsage, MeterLevel, MeterUsage

UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """aggregated: in the meter's unit. units: after conversion, in the billed unit. value_count: the events with a number."""

    aggregated: Decimal
    units: Decimal
    event_count: int
    value_count: int


def usage_of(charge: Charge, usage: Iterable[MeterUsage]) -> tuple[HourUsage, ...]:
    """The hours of the charge's meter with every dimension its filters name, in order of time.

    Also those outside its spans: a level lasts from before them. `metered` bills what is inside.
    """
    hours = (
        hour
        for meter in usage
        if meter.meter == charge.meter
        for hour in meter.hours
        if _is_let_in(charge, hour)
    )
    return tuple(sorted(hours, key=lambda hour: (hour.hour, hour.dimensions)))


def is_billed_by(charge: Charge, hour: HourUsage) -> bool:
    return _is_let_in(charge, hour) and is_held(charge, hour.hour)


def is_held(charge: Charge, at: datetime) -> bool:
    """Whether an instant of the billed period lies in one of the charge's spans."""
    return not charge.spans or any(at in span.period for span in charge.spans)


def cuts_of(charges: Iterable[Charge]) -> tuple[datetime, ...]:
    """Where the charges' spans begin and end: an hour of usage is cut there."""
    edges = {
        edge for charge in charges for span in charge.spans for edge in (span.period.start, span.period.end)
    }
    return tuple(sorted(edges))


def _is_let_in(charge: Charge, usage: HourUsage | MeterLevel) -> bool:
    has = set(usage.dimensions)
    return has.issuperset(charge.filters) and not any(has.issuperset(each) for each in charge.excludes)


def level_of(charge: Charge, usage: Iterable[MeterUsage]) -> Decimal:
    """The level at which the charge's meter stood when the period began; 0 where nothing came before."""
    levels = [
        (level.at, level.key, level.value)
        for meter in usage
        if meter.meter == charge.meter
        for level in meter.levels
        if _is_let_in(charge, level)
    ]
    return max(levels)[2] if levels else ZERO


def metered(charge: Charge, hours: Iterable[HourUsage], period: Period, level: Decimal = ZERO) -> Metered:
    """Merge the hours inside the charge's spans, finish the aggregation, convert to the billed unit.

    period, level: for WEIGHTED_SUM, which is an average over the period and begins at a level.
    """
    hours = tuple(hours)
    partial = _merged([hour.partial for hour in hours if is_held(charge, hour.hour)])
    if charge.spans and charge.aggregation is Aggregation.WEIGHTED_SUM:
        aggregated = _level_held(charge, hours, period, level)
    else:
        aggregated = finish(
            charge.aggregation, partial, percentile=charge.percentile, period=period, initial=level
        )
    units = aggregated if charge.conversion is None else charge.conversion.of(aggregated)
    return Metered(
        aggregated=aggregated, units=units, event_count=partial.count, value_count=partial.value_count
    )


def _level_held(charge: Charge, hours: tuple[HourUsage, ...], period: Period, level: Decimal) -> Decimal:
    """The level's average over the period, taken as zero outside of the spans; the parts of all spans add up.

    8 seats, held for 15 of 30 days: 4.
    """
    samples = [sample for hour in hours for sample in hour.partial.values if sample.value is not None]
    parts = []
    for span in charge.spans:
        before = [(each.at, each.key, each.value or ZERO) for each in samples if each.at < span.period.start]
        mean = mean_level(samples, span.period, max(before)[2] if before else level)
        parts.append(prorated(mean, *share(period, span.period, basis="second", zone=UTC)))
    return total(parts)


def exceeded_in(
    charge: Charge, hours: tuple[HourUsage, ...], period: Period, units: Decimal, level: Decimal = ZERO
) -> datetime | None:
    """The first hour in which more than *units* were reached; the excess is in it and in the hours after it."""
    if charge.spans and charge.aggregation is Aggregation.WEIGHTED_SUM:
        # Which of the hours a span holds must stay known.
        for number, hour in enumerate(hours, start=1):
            if metered(charge, hours[:number], period, level).units > units:
                return hour.hour
        return None
    partial = EMPTY
    for hour in hours:
        if is_held(charge, hour.hour):
            partial = merge(partial, hour.partial)
            so_far = HourUsage(hour=hour.hour, dimensions=(), partial=partial)
            # The dimensions are let in already.
            if metered(charge, (so_far,), period, level).units > units:
                return hour.hour
    return None


def condensed(usage: MeterUsage, charges: Iterable[Charge]) -> MeterUsage:
    """The usage with one entry for each set of dimensions between two cuts, where no charge's quota asks for the hours.

    Bills the same to the byte; a sealed month is then some hundred bytes and not a hundred thousand.
    """
    own = [charge for charge in charges if charge.meter == usage.meter]
    if any(charge.quota_units is not None for charge in own):
        return usage
    cuts = cuts_of(own)
    merging: dict[tuple[tuple[tuple[str, str], ...], int], list[HourUsage]] = {}
    for hour in usage.hours:
        merging.setdefault((hour.dimensions, bisect_right(cuts, hour.hour)), []).append(hour)
    return replace(
        usage,
        hours=tuple(
            HourUsage(
                hour=min(hour.hour for hour in hours),
                dimensions=dimensions,
                partial=_merged([hour.partial for hour in hours]),
            )
            for (dimensions, _), hours in sorted(merging.items())
        ),
    )


def _merged(partials: list[Partial]) -> Partial:
    # In pairs, so that the kept values of many hours are copied a few times and not once an hour.
    while len(partials) > 1:
        pairs = [merge(a, b) for a, b in zip(partials[::2], partials[1::2], strict=False)]
        partials = pairs + partials[len(pairs) * 2 :]
    return partials[0] if partials else EMPTY
