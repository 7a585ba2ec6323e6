"""Every shape a request body can have, to a list of events as their sender wrote them.

application/json                    one object, a list, or {"events": [...]}; also without a media type, or with
                                    application/x-www-form-urlencoded, which `curl -d` sends
application/x-ndjson                one object a line
application/cloudevents+json        one CloudEvent; application/cloudevents-batch+json a list of them
headers ce-*                        one CloudEvent in binary mode: the body is its data
door "compound"                     one request, several measurements

What the fields mean is the schema's business (intake/schema.py); here it is only found where they are.
"""

from __future__ import annotations

import re
import zlib
from typing import Any
from urllib.parse import unquote

from aforo.kernel.errors import Problem

from .event import Submission
from .strict_json import check_shape, read_json

BODY_BYTES_MAX = 10 * 1024 * 1024
EVENTS_MAX = 10_000
# A gzip body may consist of several members. Each may be empty, so that their number needs a bound of its own.
GZIP_MEMBERS_MAX = 64

JSON_TYPES = frozenset({"", "application/json", "application/x-www-form-urlencoded"})
NDJSON = "application/x-ndjson"
CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"

# NUL, or either half of a surrogate pair; written raw, both make the body unreadable.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_BOM = b"\xef\xbb\xbf"


class RawEvents(list[Any]):
    """The events of one body as sent: dictionaries, or whatever else stood in an event's place.

    is_single: the body was one event and no batch, so that an Idempotency-Key header is its key as it stands.
    has_escapes: the body escapes NUL or surrogates, so that its texts may hold characters no store keeps.
    """

    is_single: bool = False
    has_escapes: bool = False


def decode(submission: Submission) -> RawEvents:
    """The events of a submission's body.

    Raises Problem: media_type_unsupported, body_too_large, body_too_deep, body_unreadable, batch_empty,
    batch_too_large (more than 10,000 events).

    `{"event": "api.call", "customer_id": "cust_abc"}` is one event; the same in [] is a batch of one.
    """
    kind = _media_type(submission.content_type)
    body = submission.body.removeprefix(_BOM)
    if len(body) > BODY_BYTES_MAX:
        raise too_large(BODY_BYTES_MAX)
    check_shape(body)
    if kind == NDJSON:
        events = _lines(body)
    elif kind == CLOUD_EVENT:
        events = _single(_object(read_json(body), "A body of application/cloudevents+json is one object"))
    elif kind == CLOUD_EVENTS:
        events = _batch(read_json(body), "A body of application/cloudevents-batch+json is a list")
    elif any(name == "ce-specversion" for name, _ in submission.attributes):
        events = _single(_cloud_event_of(submission.attributes, body))
    elif submission.door == "compound":
        events = _measurements(_object(read_json(body), "A compound request is one object"))
    else:
        events = _document(read_json(body))
    if not events:
        raise Problem("batch_empty", "The body has no event.")
    if len(events) > EVENTS_MAX:
        raise _too_many()
    events.has_escapes = _SUSPECT_ESCAPE.search(body) is not None
    return events


def decompress(body: bytes, encoding: str | None, limit: int = BODY_BYTES_MAX) -> bytes:
    """The body without its Content-Encoding, never holding more than *limit* + 1 bytes of it.

    encoding: the header; None, "" and "identity" mean none. gzip is read; zstd and lz4 come here too.
    Raises Problem: body_too_large (a bomb stops at the limit), encoding_broken, encoding_unsupported.

    1 GiB of zeros is 1 MiB of gzip; it is refused after 10 MiB.
    """
    name = (encoding or "").strip().lower()
    if name in {"gzip", "x-gzip"}:
        return _gunzip(body, limit)
    if name not in {"", "identity"}:
        raise Problem("encoding_unsupported", f"Content-Encoding {name[:64]!r} is not read.")
    if len(body) > limit:
        raise too_large(limit)
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit + 1
    rest = body
    for _ in range(GZIP_MEMBERS_MAX):
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, room)
        except zlib.error as error:
            raise Problem("encoding_broken", f"The body is not gzip: {error}.") from None
        parts.append(part)
        room -= len(part)
        if room <= 0:
            raise too_large(limit)
        if not member.eof:
            raise Problem("encoding_broken", "The gzip body ends before its end mark.")
        rest = member.unused_data
        if not rest:
            return b"".join(parts)
    raise Problem("encoding_broken", f"The gzip body has more than {GZIP_MEMBERS_MAX} members.")


def _media_type(content_type: str | None) -> str:
    kind, *parameters = (content_type or "").lower().split(";")
    kind = kind.strip()
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
            raise Problem(
                "media_type_unsupported", f"The charset {value.strip()[:64]!r} is not read; send UTF-8."
            )
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
            raise _too_many()
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


def _measurements(request: dict[str, Any]) -> RawEvents:
    """Each measurement with what the request says about all of them; key `correlationId:metric[:dimensionKey]`."""
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


def too_large(limit: int) -> Problem:
    """The refusal of a body beyond *limit* bytes."""
    return Problem("body_too_large", f"The body is larger than {limit:,} bytes.", bytes_max=limit)


def _too_many() -> Problem:
    return Problem("batch_too_large", f"The body has more than {EVENTS_MAX:,} events.", events_max=EVENTS_MAX)
