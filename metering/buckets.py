"""Hourly buckets: what new events bring to their meters, merged into what is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from django.db.backends.utils import CursorWrapper

from aforo.kernel.canonical import canonical_json

from .aggregation import Sample, fold_all
from .event import UsageEvent
from .meters import Meter, dimensions_of, feeds, sample_of, value_of
from .staging import copy_in, escaped

# Where a bucket stands: tenant, customer, meter, hour (counted from the year 1: to cut and hash an instant costs more),
# dimensions as canonical JSON text, {} for a meter without any.
Place = tuple[int, int, int, int, str]


def bucket_lines(events: Iterable[tuple[UsageEvent, int, tuple[Meter, ...]]]) -> list[str]:
    """What events add, a line a bucket, as COPY reads it: each event with its customer's row and the meters that listen.

    Three calls of 2, 3 and 5 tokens at 11:02, 11:59 and 12:00: 11:00 gets count 2 and sum 5, 12:00 count 1 and sum 5.
    """
    places: defaultdict[Place, list[tuple[Meter, UsageEvent]]] = defaultdict(list)
    for event, customer_id, meters in events:
        at = event.timestamp
        hour = at.toordinal() * 24 + at.hour
        for meter in meters:
            if meter.filters and not feeds(meter, event):
                continue
            dimensions = dimensions_text(dimensions_of(meter, event)) if meter.group_by else "{}"
            places[event.tenant_id, customer_id, meter.id, hour, dimensions].append((meter, event))
    return [_line(*one) for one in places.items()]


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
# Keys of the same instant are compared by code point, as metering.aggregation does.
_IS_LATER = """old.latest_at IS NULL OR
        (excluded.latest_at, excluded.latest_key COLLATE "C", excluded.latest_value)
            > (old.latest_at, old.latest_key, old.latest_value)"""
# In order of the key, so that two transactions never wait for each other crosswise.
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
    latest_at = CASE WHEN {_IS_LATER} THEN excluded.latest_at ELSE old.latest_at END,
    latest_key = CASE WHEN {_IS_LATER} THEN excluded.latest_key ELSE old.latest_key END,
    latest_value = CASE WHEN {_IS_LATER} THEN excluded.latest_value ELSE old.latest_value END
"""


def buckets_merge(cursor: CursorWrapper, lines: Sequence[str]) -> None:
    """Add what `bucket_lines` made to the stored buckets, in the caller's transaction."""
    if not lines:
        return
    cursor.execute(_STAGE)
    copy_in(cursor, f"metering_bucket_staging ({_COLUMNS})", lines)
    cursor.execute(_MERGE)


def _line(place: Place, fed: list[tuple[Meter, UsageEvent]]) -> str:
    tenant_id, customer_id, meter_id, _, dimensions = place
    meter, event = fed[0]
    at = event.timestamp.isoformat()
    # at[:13] is "2026-03-01T11".
    where = f"{tenant_id}\t{customer_id}\t{meter_id}\t{at[:13]}:00Z\t{escaped(dimensions)}"
    value = value_of(meter, event)
    if len(fed) == 1 and value is not None:
        # As most buckets of a batch have it: one event is its own sum, maximum, minimum and latest.
        return f"{where}\t1\t1\t{value}\t{value}\t{value}\t{at}\t{escaped(event.idempotency_key)}\t{value}"
    return f"{where}\t{_partial([sample_of(*one) for one in fed])}"


def _partial(samples: list[Sample]) -> str:
    partial = fold_all(samples)
    key = partial.latest_key
    cells = (
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
