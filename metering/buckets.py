"""Hourly buckets: what new events bring to their meters, merged into what is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from aforo.kernel.canonical import canonical_json

from .aggregation import Partial, Sample, fold_all
from .event import UsageEvent
from .meters import Meter, dimensions_of, feeds, sample_of
from .staging import copy_in, escaped


class Place(NamedTuple):
    """Where a bucket stands. dimensions: canonical JSON text, {} for a meter without any."""

    tenant_id: int
    customer_id: int
    meter_id: int
    hour: datetime
    dimensions: str


def buckets_of(events: Iterable[tuple[UsageEvent, int, tuple[Meter, ...]]]) -> dict[Place, Partial]:
    """What events add, bucket by bucket: each event with its customer's row and the meters that listen to it.

    Three calls of 2, 3 and 5 tokens at 11:02, 11:59 and 12:00: 11:00 gets count 2 and sum 5, 12:00 count 1 and sum 5.
    """
    # Hours by number: to cut and hash an instant costs more than all else here.
    samples: defaultdict[tuple[int, int, int, int, str], list[Sample]] = defaultdict(list)
    for event, customer_id, meters in events:
        at = event.timestamp
        hour = at.toordinal() * 24 + at.hour
        for meter in meters:
            if meter.filters and not feeds(meter, event):
                continue
            dimensions = dimensions_text(dimensions_of(meter, event)) if meter.group_by else "{}"
            samples[event.tenant_id, customer_id, meter.id, hour, dimensions].append(sample_of(meter, event))
    return {
        Place(*place[:3], found[0].at.replace(minute=0, second=0, microsecond=0), place[4]): fold_all(found)
        for place, found in samples.items()
    }


@lru_cache(maxsize=10_000)
def dimensions_text(dimensions: tuple[tuple[str, str], ...]) -> str:
    """(("model", "gpt-4o"),) is {"model":"gpt-4o"}."""
    return canonical_json(dict(dimensions)).decode()


_COLUMNS = (
    "tenant_id, customer_id, meter_id, hour, dimensions, count, value_count, sum, max, min, "
    "latest_at, latest_key, latest_value"
)
_STAGE = (
    "CREATE TEMP TABLE IF NOT EXISTS metering_bucket_staging (LIKE metering_bucket) ON COMMIT DELETE ROWS;"
    "DELETE FROM metering_bucket_staging"
)
# In order of the key, so that two transactions never wait for each other crosswise.
# Keys of the same instant are compared by code point, as metering.aggregation does.
_MERGE = f"""
INSERT INTO metering_bucket AS old ({_COLUMNS})
SELECT {_COLUMNS} FROM metering_bucket_staging
ORDER BY tenant_id, customer_id, meter_id, hour, dimensions
ON CONFLICT (tenant_id, customer_id, meter_id, hour, dimensions) DO UPDATE SET
    count = old.count + excluded.count,
    value_count = old.value_count + excluded.value_count,
    sum = old.sum + excluded.sum,
    max = GREATEST(old.max, excluded.max),
    min = LEAST(old.min, excluded.min),
    (latest_at, latest_key, latest_value) = (
        SELECT one.at, one.key, one.value
        FROM (VALUES
            (old.latest_at, old.latest_key, old.latest_value),
            (excluded.latest_at, excluded.latest_key, excluded.latest_value)
        ) AS one (at, key, value)
        ORDER BY one.at DESC NULLS LAST, one.key COLLATE "C" DESC, one.value DESC LIMIT 1
    )
"""


def buckets_merge(cursor: CursorWrapper, buckets: Mapping[Place, Partial]) -> None:
    """Add partials to the stored buckets, in the caller's transaction."""
    if not buckets:
        return
    cursor.execute(_STAGE)
    copy_in(cursor, f"metering_bucket_staging ({_COLUMNS})", [_line(*one) for one in buckets.items()])
    cursor.execute(_MERGE)


def _line(place: Place, partial: Partial) -> str:
    key = partial.latest_key
    cells = (
        place.tenant_id,
        place.customer_id,
        place.meter_id,
        place.hour.isoformat(),
        escaped(place.dimensions),
        partial.count,
        partial.value_count,
        partial.sum,
        partial.max,
        partial.min,
        partial.latest_at and partial.latest_at.isoformat(),
        key and escaped(key),
        partial.latest_value,
    )
    return "\t".join(["\\N" if cell is None else str(cell) for cell in cells])
