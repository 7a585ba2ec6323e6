"""Every shape a request body can have, to a list of events as their sender wrote them.

application/json                    one object, a list, or {"events": [...]}; also without a media type, or with
                                    application/x-www-form-urlencoded, which `curl -d` sends
application/x-ndjson                one object a line
application/cloudevents+json        one CloudEvent; application/cloudevents-batch+json a list of them
headers ce-*                        one CloudEvent in binary mode: the body is its data
door "compound"                     one request, several measurements
doors "firehose", "pubsub"          what a collector put around any of the first (envelopes.py)
door "upload"                       rows of a file, each with its line (file_rows.py)
door "webhook" with a mapping       another system's payload (mapping.py)

What the fields mean is the schema's business (intake/schema.py); here it is only found where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aforo.kernel.errors import Problem

from .compression import too_large
from .envelopes import firehose_events, pubsub_events
from .event import Submission
from .file_rows import rows_unpack
from .mapping import items_of
from .raw_events import EVENTS_MAX, RawEvents, too_many
from .strict_json import check_shape, read_json

BODY_BYTES_MAX = 10 * 1024 * 1024

JSON_TYPES = frozenset({"", "application/json", "application/x-www-form-urlencoded"})
NDJSON = "application/x-ndjson"
CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"

# NUL, or either half of a surrogate pair; written raw, both make the body unreadable.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_BOM = b"\xef\xbb\xbf"


def decode(submission: Submission) -> RawEvents:
    """The events of a submission's body.

    Raises Problem: media_type_unsupported, body_too_large, body_too_deep, body_unreadable, batch_empty,
    batch_too_large (more than 10,000 events).

    `{"event": "api.call", "customer_id": "cust_abc"}` is one event; the same in [] is a batch of one.
    """
    is_binary = any(name == "ce-specversion" for name, _ in submission.attributes)
    kind = _media_type(submission.content_type, takes_any_json=is_binary)
    body = submission.body.removeprefix(_BOM)
    if len(body) > BODY_BYTES_MAX:
        raise too_large(BODY_BYTES_MAX)
    check_shape(body)
    if submission.door in _AT_DOOR:
        events = _AT_DOOR[submission.door](body)
    elif submission.mapping is not None:
        events = items_of(read_json(body), submission.mapping)
    elif is_binary:
        events = _single(_cloud_event_of(submission.attributes, body))
    elif kind == NDJSON:
        events = _lines(body)
    elif kind == CLOUD_EVENT:
        events = _single(_object(read_json(body), "A body of application/cloudevents+json is one object"))
    elif kind == CLOUD_EVENTS:
        events = _batch(read_json(body), "A body of application/cloudevents-batch+json is a list")
    else:
        events = _document(read_json(body))
    if not events:
        raise Problem("batch_empty", "The body has no event.")
    if len(events) > EVENTS_MAX:
        raise too_many()
    # Base64 and percent signs hide what they escape.
    is_hidden = submission.door in DOORS_WITH_BASE64 or bool(submission.attributes)
    events.has_escapes = is_hidden or _SUSPECT_ESCAPE.search(body) is not None
    return events


def _media_type(content_type: str | None, *, takes_any_json: bool) -> str:
    """The type without its parameters. Raises Problem("media_type_unsupported")."""
    kind, *parameters = (content_type or "").lower().split(";")
    kind = kind.strip()
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
            raise Problem(
                "media_type_unsupported", f"The charset {value.strip()[:64]!r} is not read; send UTF-8."
            )
    if takes_any_json and kind.endswith("+json"):
        return kind
    if kind not in JSON_TYPES and kind not in {NDJSON, CLOUD_EVENT, CLOUD_EVENTS}:
        raise Problem("media_type_unsupported", f"The media type {kind[:64]!r} is not read.")
    return kind


def _document(document: Any) -> RawEvents:
    if isinstance(document, list):
        return RawEvents(document)
    document = _object(document, "A body is an object or a list of objects")
    # An event may well have a property `events`; it is an envelope only where it is all there is.
    if document.keys() == {"events"}:
        return _batch(document["events"], "The field `events` is a list")
    return _single(document)


def _lines(body: bytes) -> RawEvents:
    events = RawEvents()
    for number, line in enumerate(body.split(b"\n"), start=1):
        # The four characters that JSON counts as space; b"".strip() would also take others away.
        if not line.strip(b" \t\r"):
            continue
        if len(events) == EVENTS_MAX:
            raise too_many()
        try:
            events.append(read_json(line))
        except Problem as problem:
            raise Problem(problem.code, f"Line {number}: {problem.detail}", line=number) from None
    return events


def _cloud_event_of(attributes: tuple[tuple[str, str], ...], body: bytes) -> dict[str, Any]:
    """Binary mode to the structured form: attributes are headers, percent-encoded; the body is `data`."""
    event: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in attributes if name.startswith("ce-")
    }
    if body.strip():
        event["data"] = read_json(body)
    return event


def _measurements(request: Any) -> RawEvents:
    """Each measurement with what the request says about all of them; key `correlationId:metric[:dimensionKey]`."""
    request = _object(request, "A compound request is one object")
    measurements = request.get("measurements")
    if measurements is None:
        raise Problem("fields_missing", "The field measurements is missing.", missing=["measurements"])
    shared = {name: value for name, value in request.items() if name != "measurements"}
    correlation = request.get("correlationId")
    events = RawEvents()
    for measurement in _batch(measurements, "The field `measurements` is a list"):
        if not isinstance(measurement, dict):
            events.append(measurement)
            continue
        event = {**shared, **measurement}
        for name in ("properties", "metadata", "data"):
            if isinstance(shared.get(name), dict) and isinstance(measurement.get(name), dict):
                event[name] = {**shared[name], **measurement[name]}
        if correlation is not None:
            event["idempotency_key"] = _compound_key(correlation, measurement)
        events.append(event)
    return events


def _compound_key(correlation: Any, measurement: dict[str, Any]) -> Any:
    names = ("metric", "event", "metricKey", "metricName", "metricId", "metric_id")
    metric = next((measurement[name] for name in names if measurement.get(name) is not None), None)
    dimension = measurement.get("dimensionKey")
    parts = [correlation, metric] if dimension is None else [correlation, metric, dimension]
    # A part that is no text leaves no key that the schema would accept, and the schema says so.
    return ":".join(parts) if all(isinstance(part, str) for part in parts) else parts


def _single(event: dict[str, Any]) -> RawEvents:
    events = RawEvents([event])
    events.is_single = True
    return events


def _batch(value: Any, sentence: str) -> RawEvents:
    if not isinstance(value, list):
        raise Problem("body_unreadable", f"{sentence}.")
    return RawEvents(value)


def _object(value: Any, sentence: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem("body_unreadable", f"{sentence}.")
    return value


DOORS_WITH_BASE64 = frozenset({"firehose", "pubsub"})
# What a body is at a door of its own, whatever its media type says.
_AT_DOOR: dict[str, Callable[[bytes], RawEvents]] = {
    "compound": lambda body: _measurements(read_json(body)),
    "firehose": lambda body: firehose_events(read_json(body)),
    "pubsub": lambda body: pubsub_events(read_json(body)),
    "upload": rows_unpack,
}
