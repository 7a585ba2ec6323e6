"""A customer's usage of a meter over any period: whole hours from buckets, everything else from the events."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from ..aggregation import EMPTY, IS_BUCKETABLE, Aggregation, Partial, Sample, finish, fold_all, merge
from ..calculator import window_starts
from ..event import UsageEvent
from ..meters import Meter, dimensions_of, feeds, sample_of
from ..models import Bucket
from .corrections import corrected_instants
from .counted_events import counted_events, events_summed

Dimensions = tuple[tuple[str, str], ...]

# Of many customers, meters and spans at once; LATERAL, so that each is a range of the primary key. OFFSET keeps PostgreSQL
# from making a join of it, which compares each of a customer's hours with each of its spans.
_WANTED = """
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::int[])
    AS wanted (customer, meter, start_at, end_at, place)
CROSS JOIN LATERAL (
    SELECT * FROM metering_bucket
    WHERE tenant_id = %s AND customer_id = customer AND meter_id = meter AND hour >= start_at AND hour < end_at
    OFFSET 0
) AS bucket
"""
_COUNTED = f"SELECT place, sum(count) {_WANTED} GROUP BY place"
_SUMS_BY_DIMENSIONS = f"SELECT place, dimensions, sum(count), sum(sum) {_WANTED} GROUP BY place, dimensions"
_BUCKETS = f"""
SELECT place, hour, dimensions, count, value_count, sum, max, min, latest_at, latest_key, latest_value {_WANTED}
"""

_SUMS = f"SELECT place, sum(count), sum(sum) {_WANTED} GROUP BY place"
# What the store itself can add up.
_SUMMED = frozenset({Aggregation.COUNT, Aggregation.SUM})
_UTC = ZoneInfo("UTC")

HOUR = timedelta(hours=1)
# A month of hours is 744. Beyond this an answer is asked for in parts.
WINDOWS_MAX = 1_000
GROUPS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class HourPartial:
    """What one hour, or the part of it inside the period, brings to an aggregation.

    hour: its first instant inside the period. dimensions: (name, text) for each of the meter's dimensions.
    """

    hour: datetime
    dimensions: Dimensions
    partial: Partial


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose usage of which meter, and when. customer_id: the customer's row."""

    customer_id: int
    meter: Meter
    period: Period


class _Span(NamedTuple):
    """Whose buckets of which hours; place: what its rows name."""

    customer_id: int
    meter_id: int
    start: datetime
    end: datetime
    place: int


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """The last number before an instant: what a level is until the next event. Ordered by recency."""

    at: datetime
    key: str
    value: Decimal
    dimensions: Dimensions


@dataclass(frozen=True, slots=True)
class WindowQuantity:
    """The usage of one window; the first and the last of a period are cut at its ends."""

    period: Period
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class GroupQuantity:
    """The usage of one combination of dimensions; windows: empty where none were asked for."""

    by: Mapping[str, str]
    quantity: Decimal
    windows: tuple[WindowQuantity, ...]


def usage_buckets(
    *,
    tenant: Tenant,
    customer_id: int,
    meter: Meter,
    period: Period,
    cuts: Sequence[datetime] = (),
    is_corrected: bool = True,
    read: Sequence[HourPartial] | None = None,
) -> tuple[HourPartial, ...]:
    """The hours of a period that have usage, in order; their partials merged and finished are its quantity.

    customer_id: the customer's row. cuts: instants inside the period at which an hour is split, as it is at the ends.
    is_corrected: False for the usage as if no event had ever been corrected; the hours with corrections are then read
    from events. read: what `buckets_read` found for this, where many were asked for at once.
    Reads events instead of buckets for an hour that is cut, and for all hours of an aggregation outside IS_BUCKETABLE.

    March 2026 in Asia/Kolkata starts at 18:30Z: that half hour is read from events, the 743 hours after it from
    buckets, and the last half hour from events again.
    """
    source = _Source(tenant, customer_id, meter, is_corrected)
    if meter.aggregation not in IS_BUCKETABLE:
        return _from_events(source, [period], cuts)
    if read is None:
        (read,) = buckets_read(tenant=tenant, wanted=[Wanted(customer_id, meter, period)])
    cut = {_hour_of(at) for at in (period.start, period.end, *cuts) if at != _hour_of(at)}
    # Where no event counts there is no bucket, and nothing to be read.
    split = source.unbucketed() | (cut & {one.hour for one in read})
    pieces = [piece for hour in sorted(split) if (piece := Period(hour, hour + HOUR).overlap(period))]
    hours = [one for one in read if one.hour not in split]
    if pieces:
        hours += _from_events(source, pieces, cuts)
    return tuple(sorted(hours, key=lambda one: (one.hour, one.dimensions)))


def buckets_read(*, tenant: Tenant, wanted: Sequence[Wanted]) -> list[list[HourPartial]]:
    """The buckets of each period's hours, in no order: one query, whatever it is asked for.

    Of an aggregation outside IS_BUCKETABLE there are none.
    """
    asked = [
        _whole_hours(place, one) for place, one in enumerate(wanted) if one.meter.aggregation in IS_BUCKETABLE
    ]
    found: list[dict[tuple[datetime, Dimensions], HourPartial]] = [{} for _ in wanted]
    dimensions_by_text: dict[tuple[int, str], Dimensions] = {}
    for place, hour, text, *numbers in _rows(_BUCKETS, tenant, asked):
        meter = wanted[place].meter
        dimensions = dimensions_by_text.get((meter.id, text))
        if dimensions is None:
            dimensions = dimensions_by_text[meter.id, text] = _dimensions(text, meter)
        partial = Partial(*numbers)
        # Buckets of before the meter's dimensions were changed may meet in one.
        before = found[place].get((hour, dimensions))
        if before is not None:
            partial = merge(before.partial, partial)
        found[place][hour, dimensions] = HourPartial(hour, dimensions, partial)
    return [list(hours.values()) for hours in found]


def quantities_of(*, tenant: Tenant, wanted: Sequence[Wanted]) -> list[Decimal]:
    """The quantity of each period, conversion included: of many customers, as often as somebody asks.

    COUNT and SUM are added up by the store, in one query for all of them, without the hours that a period cuts: those are
    read from events where anything happened in them, as `usage_of` reads everything of other aggregations.
    """
    quantities = [Decimal(0)] * len(wanted)
    whole: list[_Span] = []
    cut: list[tuple[int, Wanted]] = []
    for place, one in enumerate(wanted):
        if one.meter.aggregation not in _SUMMED:
            continue
        start, end = one.period.start, one.period.end
        first, last = _hour_of(start), _hour_of(end)
        after = first if first == start else first + HOUR
        if after < last:
            whole.append(_Span(one.customer_id, one.meter.id, after, last, place))
        if first != start or last != end:
            cut += [(place, replace(one, period=piece)) for piece in _cut(one.period)]
    for place, count, amount in _rows(_SUMS, tenant, whole):
        quantities[place] = Decimal(count) if wanted[place].meter.aggregation is Aggregation.COUNT else amount
    hours = [_whole_hours(number, one) for number, (_, one) in enumerate(cut)]
    # Where no event counts there is no bucket, and nothing to be read.
    parts = [cut[number] for number, _ in _rows(_COUNTED, tenant, hours)]
    for (place, _), quantity in zip(parts, _of_parts(tenant, [part for _, part in parts]), strict=True):
        quantities[place] += quantity
    for place, one in enumerate(wanted):
        if one.meter.aggregation not in _SUMMED:
            (group,) = usage_of(
                tenant=tenant, customer_id=one.customer_id, meter=one.meter, period=one.period, zone=_UTC
            )
            quantities[place] = group.quantity
        elif one.meter.conversion is not None:
            quantities[place] = one.meter.conversion.of(quantities[place])
    return quantities


def _of_parts(tenant: Tenant, parts: Sequence[Wanted]) -> list[Decimal]:
    """COUNT or SUM of parts of hours, without the conversion."""
    # What most meters count: an hour of a hundred thousand events need not be read one by one, ten times a second.
    plain = [place for place, part in enumerate(parts) if _is_plain(part.meter)]
    asked = [
        (parts[place].customer_id, parts[place].meter.event_name, parts[place].period) for place in plain
    ]
    sums = dict(zip(plain, events_summed(tenant=tenant, parts=asked), strict=True))
    quantities = []
    for place, part in enumerate(parts):
        if place in sums:
            count, amount = sums[place]
            quantities.append(Decimal(count) if part.meter.aggregation is Aggregation.COUNT else amount)
        else:
            source = _Source(tenant, part.customer_id, part.meter, is_corrected=True)
            hours = _from_events(source, [part.period], ())
            quantities.append(finish(part.meter.aggregation, _merged(one.partial for one in hours)))
    return quantities


def _is_plain(meter: Meter) -> bool:
    """Every event of the name counts, or its quantity does."""
    return not meter.filters and (
        meter.aggregation is Aggregation.COUNT or meter.value_property == "quantity"
    )


def quantity_from_events(*, tenant: Tenant, wanted: Wanted) -> Decimal:
    """The quantity of a period from its events alone, conversion included; what the buckets say is held against it."""
    source = _Source(tenant, wanted.customer_id, wanted.meter, is_corrected=True)
    partial = _merged([hour.partial for hour in _from_events(source, [wanted.period], ())])
    levels = levels_before(
        tenant=tenant, customer_id=wanted.customer_id, meter=wanted.meter, at=wanted.period.start
    )
    return _finished(wanted.meter, partial, wanted.period, max(levels).value if levels else None)


def _cut(period: Period) -> list[Period]:
    """The parts of hours at a period's ends, apart."""
    first, last = _hour_of(period.start), _hour_of(period.end)
    pieces = [] if first == period.start else [Period(period.start, min(first + HOUR, period.end))]
    if last != period.end and (last > first or not pieces):
        pieces.append(Period(max(last, period.start), period.end))
    return pieces


def events_counted(*, tenant: Tenant, wanted: Sequence[Collection[Wanted]]) -> list[int]:
    """How many events count in the hours of each collection's periods: one query, whatever it is asked for.

    An hour that a period cuts is counted whole, so that the number tells whether something came, and not how much.
    """
    asked = [_whole_hours(place, one) for place, together in enumerate(wanted) for one in together]
    counted = [0] * len(wanted)
    for place, count in _rows(_COUNTED, tenant, asked):
        counted[place] = int(count)
    return counted


def quantities_by_dimensions(*, tenant: Tenant, wanted: Sequence[Wanted]) -> list[dict[Dimensions, Decimal]]:
    """What was counted in the hours that begin in each period, before any conversion: one query, whatever it is asked for.

    Of meters that count or sum; of the others there is nothing.
    """
    found: list[dict[Dimensions, Decimal]] = [{} for _ in wanted]
    asked = [
        _Span(one.customer_id, one.meter.id, one.period.start, one.period.end, place)
        for place, one in enumerate(wanted)
        if one.meter.aggregation in _SUMMED
    ]
    for place, text, count, summed in _rows(_SUMS_BY_DIMENSIONS, tenant, asked):
        meter = wanted[place].meter
        dimensions = _dimensions(text, meter)
        quantity = Decimal(count) if meter.aggregation is Aggregation.COUNT else summed
        found[place][dimensions] = EXACT.add(found[place].get(dimensions, Decimal(0)), quantity)
    return found


def _whole_hours(place: int, wanted: Wanted) -> _Span:
    period = wanted.period
    return _Span(wanted.customer_id, wanted.meter.id, _hour_of(period.start), period.end, place)


def _rows(query: str, tenant: Tenant, asked: Sequence[_Span]) -> Iterator[tuple[Any, ...]]:
    if not asked:
        return
    # As texts: the driver would write the arrays value by value, which takes four times as long.
    arrays = ["{" + ",".join(map(str, column)) + "}" for column in zip(*asked, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(query, [*arrays, tenant.pk])
        yield from cursor


def levels_before(
    *, tenant: Tenant, customer_id: int, meter: Meter, at: datetime, is_corrected: bool = True
) -> tuple[Level, ...]:
    """Each dimensions' level at an instant: the last number before it; none where there was no event yet.

    Only WEIGHTED_SUM asks; for every other aggregation the answer is empty. is_corrected: as of usage_buckets.
    """
    if meter.aggregation is not Aggregation.WEIGHTED_SUM:
        return ()
    hour = _hour_of(at)
    source = _Source(tenant, customer_id, meter, is_corrected)
    unbucketed = {each for each in source.unbucketed() if each < hour}
    latest: dict[Dimensions, Level] = {}
    rows = (
        Bucket.objects.filter(tenant=tenant, customer_id=customer_id, meter_id=meter.id, hour__lt=hour)
        .exclude(latest_value=None)
        .exclude(hour__in=unbucketed)
        .order_by("dimensions", "-hour")
        .distinct("dimensions")
    )
    found = [_hour_partial(row, meter) for row in rows]
    pieces = [Period(each, each + HOUR) for each in sorted(unbucketed)]
    if hour < at:
        pieces.append(Period(hour, at))
    if pieces:
        found += _from_events(source, pieces, ())
    for one in found:
        part = one.partial
        if part.latest_at is not None and part.latest_key is not None and part.latest_value is not None:
            level = Level(part.latest_at, part.latest_key, part.latest_value, one.dimensions)
            latest[one.dimensions] = max(level, latest.get(one.dimensions, level))
    return tuple(latest[dimensions] for dimensions in sorted(latest))


def usage_of(
    *,
    tenant: Tenant,
    customer_id: int,
    meter: Meter,
    period: Period,
    window: str | None = None,
    zone: ZoneInfo,
    group_by: Sequence[str] = (),
    is_corrected: bool = True,
) -> tuple[GroupQuantity, ...]:
    """The quantity of a period, by windows and groups where asked for.

    window: "hour", "day" or "month" in the zone, every one listed; None for none. group_by: some of the meter's
    dimensions. is_corrected: False for the usage as if no event had ever been corrected. Without group_by there is always one group, by {}; with it those that have usage.
    Raises Problem input_invalid for more than 1,000 windows or groups, or a dimension that the meter does not keep.
    """
    unknown = [name for name in group_by if name not in meter.group_by]
    if unknown:
        known = ", ".join(meter.group_by) or "none"
        raise _invalid("group_by", f"{', '.join(unknown)} is no dimension of {meter.key}; it keeps: {known}.")
    starts = _starts(period, window, zone) if window is not None else [period.start]
    of = {"tenant": tenant, "customer_id": customer_id, "meter": meter, "is_corrected": is_corrected}
    hours = usage_buckets(**of, period=period, cuts=starts[1:])
    groups: dict[Dimensions, list[Partial]] = {} if group_by else {(): [EMPTY] * len(starts)}
    initial: dict[Dimensions, Decimal] = {}
    for level in sorted(levels_before(**of, at=period.start)):
        by = _by(level.dimensions, group_by)
        groups.setdefault(by, [EMPTY] * len(starts))
        initial[by] = level.value
    for one in hours:
        by = _by(one.dimensions, group_by)
        partials = groups.setdefault(by, [EMPTY] * len(starts))
        place = bisect_right(starts, one.hour) - 1
        partials[place] = merge(partials[place], one.partial)
    if len(groups) > GROUPS_MAX:
        raise _invalid("group_by", f"gives {len(groups):,} groups; up to {GROUPS_MAX:,} are answered.")
    periods = [Period(start, end) for start, end in zip(starts, [*starts[1:], period.end], strict=True)]
    return tuple(
        GroupQuantity(
            dict(by),
            _finished(meter, _merged(groups[by]), period, initial.get(by)),
            _windows(meter, groups[by], periods, initial.get(by)) if window is not None else (),
        )
        for by in sorted(groups)
    )


def _by(dimensions: Dimensions, group_by: Sequence[str]) -> Dimensions:
    texts = dict(dimensions)
    return tuple((name, texts[name]) for name in group_by)


def _finished(meter: Meter, partial: Partial, period: Period, initial: Decimal | None) -> Decimal:
    quantity = finish(meter.aggregation, partial, percentile=meter.percentile, period=period, initial=initial)
    return quantity if meter.conversion is None else meter.conversion.of(quantity)


def _windows(
    meter: Meter, partials: Sequence[Partial], periods: Sequence[Period], initial: Decimal | None
) -> tuple[WindowQuantity, ...]:
    windows = []
    for inside, partial in zip(periods, partials, strict=True):
        windows.append(WindowQuantity(inside, _finished(meter, partial, inside, initial)))
        # A level lasts beyond its window.
        initial = initial if partial.latest_value is None else partial.latest_value
    return tuple(windows)


def _starts(period: Period, window: str, zone: ZoneInfo) -> list[datetime]:
    starts: list[datetime] = []
    for start in window_starts(period, window, zone):
        if len(starts) == WINDOWS_MAX:
            raise _invalid("window", f"cuts the period into more than {WINDOWS_MAX:,} windows.")
        starts.append(start)
    return starts


@dataclass(frozen=True, slots=True)
class _Source:
    """Whose usage of which meter, and whether corrections count."""

    tenant: Tenant
    customer_id: int
    meter: Meter
    is_corrected: bool

    def unbucketed(self) -> set[datetime]:
        """The hours whose buckets hold what is not asked for: those that corrections have touched."""
        if self.is_corrected:
            return set()
        instants = corrected_instants(self.tenant, customer_id=self.customer_id, metric=self.meter.event_name)
        return set(map(_hour_of, instants))

    def events(self, pieces: Sequence[Period]) -> Iterator[UsageEvent]:
        return counted_events(
            tenant=self.tenant,
            customer_id=self.customer_id,
            metric=self.meter.event_name,
            pieces=pieces,
            is_corrected=self.is_corrected,
        )


def _hour_partial(row: Bucket, meter: Meter) -> HourPartial:
    partial = Partial(
        count=row.count,
        value_count=row.value_count,
        sum=row.sum,
        max=row.max,
        min=row.min,
        latest_at=row.latest_at,
        latest_key=row.latest_key,
        latest_value=row.latest_value,
    )
    return HourPartial(row.hour, _dimensions(row.dimensions, meter), partial)


def _dimensions(text: str, meter: Meter) -> Dimensions:
    texts = json.loads(text)
    # A meter whose dimensions were changed has buckets of before: what they lack is "", as for an event.
    return tuple((name, texts.get(name, "")) for name in meter.group_by)


def _from_events(
    source: _Source, pieces: Sequence[Period], cuts: Sequence[datetime]
) -> tuple[HourPartial, ...]:
    meter = source.meter
    edges = sorted({piece.start for piece in pieces} | set(cuts))
    samples: dict[tuple[datetime, Dimensions], list[Sample]] = {}
    for event in source.events(pieces):
        if feeds(meter, event):
            hour = _hour_of(event.timestamp)
            place = bisect_right(edges, event.timestamp) - 1
            since = max(hour, edges[place]) if place >= 0 else hour
            samples.setdefault((since, dimensions_of(meter, event)), []).append(sample_of(meter, event))
    keeps_values = meter.aggregation not in IS_BUCKETABLE
    return tuple(
        HourPartial(since, dimensions, fold_all(found, keeps_values=keeps_values))
        for (since, dimensions), found in sorted(samples.items(), key=lambda item: item[0])
    )


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _merged(partials: Iterable[Partial]) -> Partial:
    result = EMPTY
    for partial in partials:
        result = merge(result, partial)
    return result


def _invalid(field: str, sentence: str) -> Problem:
    return Problem("input_invalid", f"{field} {sentence}", errors={field: [sentence]})
