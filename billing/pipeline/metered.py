"""Metered: what a charge's usage comes to. Quota and aggregation ask the same function, so they cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from aforo.kernel.periods import Period
from metering.aggregation import EMPTY, Partial, finish, merge

from .state import ZERO, Charge, HourUsage, MeterLevel, MeterUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """aggregated: in the meter's unit. units: after conversion, in the billed unit. value_count: the events with a number."""

    aggregated: Decimal
    units: Decimal
    event_count: int
    value_count: int


def usage_of(charge: Charge, usage: Iterable[MeterUsage]) -> tuple[HourUsage, ...]:
    """The hours that the charge bills: of its meter, with every dimension its filters name; in order of time."""
    hours = (
        hour
        for meter in usage
        if meter.meter == charge.meter
        for hour in meter.hours
        if is_billed_by(charge, hour)
    )
    return tuple(sorted(hours, key=lambda hour: (hour.hour, hour.dimensions)))


def is_billed_by(charge: Charge, usage: HourUsage | MeterLevel) -> bool:
    return set(charge.filters) <= set(usage.dimensions)


def level_of(charge: Charge, usage: Iterable[MeterUsage]) -> Decimal:
    """The level at which the charge's meter stood when the period began; 0 where nothing came before."""
    levels = [
        (level.at, level.key, level.value)
        for meter in usage
        if meter.meter == charge.meter
        for level in meter.levels
        if is_billed_by(charge, level)
    ]
    return max(levels)[2] if levels else ZERO


def metered(charge: Charge, hours: Iterable[HourUsage], period: Period, level: Decimal = ZERO) -> Metered:
    """Merge the hours, finish the aggregation, convert to the billed unit.

    period, level: for WEIGHTED_SUM, which is an average over the period and begins at a level.
    """
    partial = _merged([hour.partial for hour in hours])
    aggregated = finish(
        charge.aggregation, partial, percentile=charge.percentile, period=period, initial=level
    )
    units = aggregated if charge.conversion is None else charge.conversion.of(aggregated)
    return Metered(
        aggregated=aggregated, units=units, event_count=partial.count, value_count=partial.value_count
    )


def exceeded_in(
    charge: Charge, hours: tuple[HourUsage, ...], period: Period, units: Decimal, level: Decimal = ZERO
) -> datetime | None:
    """The first hour in which more than *units* were reached; the excess is in it and in the hours after it."""
    partial = EMPTY
    for hour in hours:
        partial = merge(partial, hour.partial)
        so_far = HourUsage(hour=hour.hour, dimensions=(), partial=partial)
        if metered(charge, (so_far,), period, level).units > units:
            return hour.hour
    return None


def condensed(usage: MeterUsage, charges: Iterable[Charge]) -> MeterUsage:
    """The usage with one entry for each set of dimensions, where no charge's quota asks for the hours.

    Bills the same to the byte; a sealed month is then some hundred bytes and not a hundred thousand.
    """
    if any(charge.meter == usage.meter and charge.quota_units is not None for charge in charges):
        return usage
    by_dimensions: dict[tuple[tuple[str, str], ...], list[HourUsage]] = {}
    for hour in usage.hours:
        by_dimensions.setdefault(hour.dimensions, []).append(hour)
    return replace(
        usage,
        hours=tuple(
            HourUsage(
                hour=min(hour.hour for hour in hours),
                dimensions=dimensions,
                partial=_merged([hour.partial for hour in hours]),
            )
            for dimensions, hours in sorted(by_dimensions.items())
        ),
    )


def _merged(partials: list[Partial]) -> Partial:
    # In pairs, so that the kept values of many hours are copied a few times and not once an hour.
    while len(partials) > 1:
        pairs = [merge(a, b) for a, b in zip(partials[::2], partials[1::2], strict=False)]
        partials = pairs + partials[len(pairs) * 2 :]
    return partials[0] if partials else EMPTY
