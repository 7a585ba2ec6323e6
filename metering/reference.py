"""The tables of docs/metering/*.md, made from the code that they describe; docs/generate.py writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from .aggregation import IS_BUCKETABLE, Aggregation
from .compression import RATIO_FREE_BYTES, RATIO_MAX
from .decoding import BODY_BYTES_MAX, CLOUD_EVENT, CLOUD_EVENTS, EVENTS_MAX, JSON_TYPES, NDJSON
from .event import REQUIRED_FIELDS
from .intake.cloud_events import FIELDS as CLOUD_EVENT_FIELDS
from .intake.draft import AGE_MAX, FUTURE_MAX, GATEWAY_SOURCES, LATE_AFTER
from .intake.schema import ALIASES, DEFAULTS, TENANT_ID_MEANS, TEXT_LENGTH_MAX
from .meters import DIGITS_BEFORE_POINT_MAX, DIGITS_MAX, GROUP_BY_MAX, PLACES_MAX, Operator
from .strict_json import DEPTH_MAX


def fields() -> Iterable[tuple[str, ...]]:
    yield "field", "also read as", "where the event does not say"
    for field, names in ALIASES.items():
        others = [f"`{name}`" for name in names[1:]]
        others += [
            f"`tenantId` (door {door})" for door, meaning in TENANT_ID_MEANS.items() if meaning == field
        ]
        fallback = "refused" if field in REQUIRED_FIELDS else "none"
        yield f"`{field}`", ", ".join(others), DEFAULTS.get(field, fallback)


def limits() -> Iterable[tuple[str, ...]]:
    yield "what", "limit"
    yield "body, decompressed", f"{BODY_BYTES_MAX // 1024**2} MiB"
    yield (
        "growth of a compressed body",
        f"{RATIO_MAX} times, counted beyond the first {RATIO_FREE_BYTES // 1024**2} MiB",
    )
    yield "events in one request", f"{EVENTS_MAX:,}"
    yield "levels of nesting", f"{DEPTH_MAX}"
    yield (
        "`idempotency_key`, `customer_id`, `metric`, `source`",
        f"1 to {TEXT_LENGTH_MAX} printable characters",
    )
    yield (
        "`quantity`",
        f"{DIGITS_MAX} digits, of which {DIGITS_BEFORE_POINT_MAX} before the point; the last at most {PLACES_MAX} after it",
    )
    yield "group-by dimensions of a meter", f"{GROUP_BY_MAX}"


def times() -> Iterable[tuple[str, ...]]:
    minutes, hours = FUTURE_MAX // timedelta(minutes=1), LATE_AFTER // timedelta(hours=1)
    yield "timestamp, seen from receipt", "verdict"
    yield f"later than {minutes}:00 minutes after", "refused, `timestamp_in_future`"
    yield f"up to exactly {minutes}:00 minutes after", "accepted"
    yield f"up to exactly {hours} hours before", "accepted"
    yield f"older than {hours} hours, up to exactly {AGE_MAX.days} days", "accepted, late"
    yield f"older than {AGE_MAX.days} days", "refused, `timestamp_too_old`"


def shapes() -> Iterable[tuple[str, ...]]:
    yield "media type", "body"
    plain = ", ".join(f"`{name}`" if name else "none" for name in sorted(JSON_TYPES))
    yield plain, 'an object, a list of objects, or `{"events": […]}`'
    yield f"`{NDJSON}`", "an object a line"
    yield f"`{CLOUD_EVENT}`", "one CloudEvent 1.0"
    yield f"`{CLOUD_EVENTS}`", "a list of CloudEvents 1.0"
    yield "JSON with headers `ce-…`", "the data of one CloudEvent 1.0 (binary mode)"


def cloud_events() -> Iterable[tuple[str, ...]]:
    yield "CloudEvents", "field"
    for name, field in CLOUD_EVENT_FIELDS.items():
        yield f"`{name}`", f"`{field}`"
    yield "`data.quantity`, else `data.value`", "`quantity`"
    yield "the rest of `data`, other attributes", "`properties`"


def gateways() -> Iterable[tuple[str, ...]]:
    yield ("sources whose tenant comes from the key in strict mode too",)
    for source in sorted(GATEWAY_SOURCES):
        yield (f"`{source}`",)


def aggregations() -> Iterable[tuple[str, ...]]:
    yield "aggregation", "finished from"
    for aggregation in Aggregation:
        yield f"`{aggregation}`", "hourly buckets" if aggregation in IS_BUCKETABLE else "events"


def operators() -> Iterable[tuple[str, ...]]:
    yield ("operator",)
    for operator in Operator:
        yield (f"`{operator}`",)


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    table.__name__: table
    for table in (fields, limits, times, shapes, cloud_events, gateways, aggregations, operators)
}
