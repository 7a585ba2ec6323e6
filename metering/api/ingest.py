"""What a request says to ingest and what it is answered, whoever speaks HTTP with it: the views, or aforo/hot.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
from django.http import QueryDict

from aforo.http.bodies import Body, body_read
from aforo.kernel.errors import Problem
from aforo.tenancy.services.api_keys import KeyHolder

from ..decoding import BODY_BYTES_MAX
from ..event import Door
from ..ports import reservation_desk
from ..services.events import Envelope, IngestAnswer, Verdict, events_ingest
from ..strict_json import check_shape, read_json

SCOPE = "ingest"
_TRUE = frozenset({"true", "1", "yes", "on", ""})
_NO_QUERY: Mapping[str, str] = {}
_CLOUD_EVENT = "HTTP_CE_"
_RESERVATION = b'"reservationId"'
_encoder = msgspec.json.Encoder(decimal_format="number")
# Their senders repeat whatever is not answered with success, although a refused event is kept as a dead letter.
_REPEATING = frozenset({"webhook", "firehose", "pubsub"})


def ingested(
    meta: Mapping[str, Any], *, holder: KeyHolder, door: Door, body: Body | None = None, **known: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Keep the request's events in the log; returns the document and the headers of the 202.

    meta: the request as WSGI describes it. body: where it was read already. known: what stands for the headers, fields
    of Envelope.
    Raises Problem for a body that cannot be read, and for a single event that is refused, except where the sender
    would only repeat it.
    """
    text = meta.get("QUERY_STRING")
    query = QueryDict(text) if text else _NO_QUERY
    body = body or body_read(meta, bytes_max=BODY_BYTES_MAX)
    if door == "meter" and _RESERVATION in body.content:
        return _reserved(meta, holder, query, body)
    envelope = replace(_envelope(meta, door, is_strict=_flag(query, "strict")), **known)
    answer = events_ingest(tenant=holder.tenant, api_key_id=holder.key_id, body=body, envelope=envelope)
    is_single = answer.is_single and door not in _REPEATING
    document = _document(answer, is_single=is_single, is_verbose=_flag(query, "verbose"))
    return document, {"Aforo-Durability": answer.durability}


def _reserved(
    meta: Mapping[str, Any], holder: KeyHolder, query: Mapping[str, Any], body: Body
) -> tuple[dict[str, Any], dict[str, str]]:
    """The same for a use that was reserved: its reservation is settled first, and given back where the event is none."""
    body, reservation = _without_reservation(body)
    desk, tenant = reservation_desk(), holder.tenant.path
    settled = desk.settle(tenant=tenant, reservation=reservation)
    envelope = _envelope(meta, "meter", is_strict=_flag(query, "strict"))
    is_counted = False
    try:
        answer = events_ingest(
            tenant=holder.tenant,
            api_key_id=holder.key_id,
            body=body,
            envelope=replace(envelope, reservation=settled),
        )
        document = _document(answer, is_single=answer.is_single, is_verbose=_flag(query, "verbose"))
        is_counted = answer.counts()["accepted"] > 0
    finally:
        if settled is not None and not is_counted:
            desk.unsettle(tenant=tenant, reservation=reservation)
    status = "settled" if settled is not None else "gone"
    return document, {"Aforo-Durability": answer.durability, "Aforo-Reservation": status}


def _without_reservation(body: Body) -> tuple[Body, str]:
    """The event and the reservation that it names. What is no event of that is the reader's to refuse."""
    check_shape(body.content)
    document = read_json(body.content)
    reservation = document.pop("reservationId", None) if isinstance(document, dict) else None
    if not isinstance(reservation, str):
        raise Problem(
            "field_invalid",
            "reservationId is the id of a reservation, beside the fields of one event.",
            errors={"reservationId": "is no id of a reservation"},
        )
    content = _encoder.encode(document)
    return Body(content, len(content), sha256(content).hexdigest()), reservation


def _envelope(meta: Mapping[str, Any], door: Door, *, is_strict: bool) -> Envelope:
    tenant_header = meta.get("HTTP_X_TENANT_ID")
    return Envelope(
        door=door,
        is_strict=is_strict,
        content_type=meta.get("CONTENT_TYPE") or None,
        content_encoding=meta.get("HTTP_CONTENT_ENCODING"),
        source=meta.get("HTTP_X_AFORO_SOURCE"),
        idempotency_key=header_text(meta.get("HTTP_IDEMPOTENCY_KEY")),
        tenant_header=None if tenant_header is None else tenant_header.strip(),
        ce_headers=cloud_event_headers(meta),
    )


def cloud_event_headers(meta: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of a CloudEvent in binary mode, as "ce-id"; none of what is no such event."""
    if "HTTP_CE_SPECVERSION" not in meta:
        return {}
    return {
        f"ce-{name.removeprefix(_CLOUD_EVENT).replace('_', '-').lower()}": value
        for name, value in meta.items()
        if name.startswith(_CLOUD_EVENT)
    }


def _flag(query: Mapping[str, Any], name: str) -> bool:
    value = query.get(name)
    return value is not None and value.lower() in _TRUE


def header_text(header: str | None) -> str | None:
    """A header's text: senders write UTF-8, and servers hand its bytes over as Latin-1."""
    if header is None or header.isascii():
        return header
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _document(answer: IngestAnswer, *, is_single: bool, is_verbose: bool) -> dict[str, Any]:
    first = answer.verdicts[0]
    if is_single and first.status == "rejected":
        refusal = first.refusal
        raise Problem(
            refusal.code, refusal.detail, **{**refusal.facts, "idempotency_key": first.idempotency_key}
        )
    counts = answer.counts()
    # A single event's row says its key, which may have been generated.
    told = [one for one in answer.verdicts if one.is_told or is_verbose or answer.is_single]
    held = {"held": counts["held"]} if counts["held"] else {}
    return {
        "accepted": counts["accepted"],
        "duplicates": counts["duplicate"],
        "rejected": counts["rejected"],
        "failed": counts["rejected"],
        **held,
        "events": [_row(one) for one in told],
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": verdict.index,
        "idempotency_key": verdict.idempotency_key,
        "status": verdict.status,
    }
    if verdict.is_late:
        row["late"] = True
    if verdict.refusal is not None:
        row |= {
            "code": verdict.refusal.code,
            "detail": verdict.refusal.detail,
            "facts": verdict.refusal.facts,
        }
    return row
