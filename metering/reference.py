"""The tables of docs/metering/*.md, made from the code that they describe; docs/generate.py writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from .aggregation import IS_BUCKETABLE, Aggregation
from .compression import ENCODINGS, FRAMES_MAX, RATIO_FREE_BYTES, RATIO_MAX
from .decoding import BODY_BYTES_MAX, CLOUD_EVENT, CLOUD_EVENTS, EVENTS_MAX, JSON_TYPES, NDJSON
from .event import REQUIRED_FIELDS
from .file_reading import CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, FILE_BYTES_MAX, FORMS, ROW_BYTES_MAX
from .intake.cloud_events import FIELDS as CLOUD_EVENT_FIELDS
from .intake.draft import AGE_MAX, FUTURE_MAX, GATEWAY_SOURCES, LATE_AFTER
from .intake.schema import ALIASES, DEFAULTS, TENANT_ID_MEANS, TEXT_LENGTH_MAX
from .mapping import EVENTS, PROPERTY
from .mapping import FIELDS as MAPPED
from .meters import DIGITS_BEFORE_POINT_MAX, DIGITS_MAX, GROUP_BY_MAX, PLACES_MAX, Operator
from .strict_json import DEPTH_MAX


def fields() -> Iterable[tuple[str, ...]]:
    yield "field", "also read as", "where the event does not say"
    for field, names in ALIASES.items():
        others = [f"`{name}`" for name in names[1:]]
        at = [door for door, meaning in TENANT_ID_MEANS.items() if meaning == field]
        if at:
            others.append(f"`tenantId` (at {', '.join(at)})")
        fallback = "refused" if field in REQUIRED_FIELDS else "none"
        yield f"`{field}`", ", ".join(others), DEFAULTS.get(field, fallback)


def limits() -> Iterable[tuple[str, ...]]:
    yield "what", "limit"
    yield "body, decompressed", f"{BODY_BYTES_MAX // 1024**2} MiB"
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


class Entrance(NamedTuple):
    """A way in: its addresses, what they take, and who may send there."""

    addresses: tuple[str, ...]
    takes: str
    proof: str


_KEY = "API key with the scope `ingest`"
DOORS = (
    Entrance(
        (
            "/v1/events",
            "/v1/events/batch",
            "/v1/ingest",
            "/v1/ingest/batch",
            "/v1/ingest/events",
            "/v1/ingest/events/batch",
        ),
        "one event or many, in every shape of events.md",
        _KEY,
    ),
    Entrance(("/v1/meter",), "the same; `tenantId` names the customer", _KEY),
    Entrance(("/v1/ingest/compound",), "one request with several measurements", _KEY),
    Entrance(("/v1/ingest/upload",), f"a file: {', '.join(name.upper() for name in FORMS)}", _KEY),
    Entrance(
        ("/v1/ingest/webhook/{source}",),
        "any of the first, or a foreign payload under a mapping",
        "signature by the source's secret",
    ),
    Entrance(
        ("/v1/ingest/firehose",),
        "a request of Amazon Data Firehose",
        "API key in `X-Amz-Firehose-Access-Key`",
    ),
    Entrance(("/v1/ingest/pubsub",), "a push of Google Cloud Pub/Sub", _KEY),
)


def doors() -> Iterable[tuple[str, ...]]:
    yield "address", "takes", "proof"
    for door in DOORS:
        yield ", ".join(f"`POST {address}`" for address in door.addresses), door.takes, door.proof


def encodings() -> Iterable[tuple[str, ...]]:
    yield "what", "limit"
    yield "encodings", ", ".join(f"`{name}`" for name in ENCODINGS)
    yield "a body, decompressed", f"{BODY_BYTES_MAX // 1024**2} MiB"
    yield "a file, decompressed", f"{FILE_BYTES_MAX // 1024**2} MiB"
    yield (
        "growth beyond the first " + f"{RATIO_FREE_BYTES // 1024**2} MiB",
        f"{RATIO_MAX} times what was sent",
    )
    yield "frames (gzip members) of one body", f"{FRAMES_MAX}"


def uploads() -> Iterable[tuple[str, ...]]:
    yield "what", "value"
    yield "a file", f"{FILE_BYTES_MAX // 1024**2} MiB"
    yield "a row, or an item of a list", f"{ROW_BYTES_MAX // 1024**2} MiB"
    yield "a chunk", f"{CHUNK_ROWS_MAX:,} rows, or {CHUNK_BYTES_MAX // 1024**2} MiB"


def mapping() -> Iterable[tuple[str, ...]]:
    yield "entry", "names"
    for field in MAPPED:
        yield (
            f"`{field}`",
            "a field; its value is a path or `=text`" if field != "properties" else "an object",
        )
    yield f"`{PROPERTY}…`", "one property"
    yield f"`{EVENTS}`", "the list of which each item is an event"


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    table.__name__: table
    for table in (
        fields,
        limits,
        times,
        shapes,
        cloud_events,
        gateways,
        doors,
        encodings,
        uploads,
        mapping,
        aggregations,
        operators,
    )
}
