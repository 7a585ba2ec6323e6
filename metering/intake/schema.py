"""Step 1, what: one name for each field, defaults, and the seven required fields.

`ALIASES` and `DEFAULTS` are the whole of it; docs/metering/events.md prints them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aforo.kernel.errors import Refusal
from aforo.kernel.texts import is_storable

from ..event import REQUIRED_FIELDS, Door
from ..mapping import mapped
from ..meters import NotANumber, kind_of, number_of
from ..raw_events import Unreadable
from .cloud_events import plain_event_of
from .draft import Draft, Receipt
from .identity import generated_key
from .refusals import field_invalid, fields_missing

TEXT_LENGTH_MAX = 255

# The canonical name first, then its aliases. Where an event has several, the first in this order counts and
# the others become properties under their own names.
ALIASES: dict[str, tuple[str, ...]] = {
    "idempotency_key": ("idempotency_key", "idempotencyKey", "event_id", "eventId", "id"),
    "tenant_id": ("tenant_id",),
    "customer_id": ("customer_id", "customerId"),
    "metric": ("metric", "event", "metricKey", "metricName", "metricId", "metric_id"),
    "quantity": ("quantity", "value"),
    "timestamp": ("timestamp", "occurredAt", "occurred_at", "event_timestamp", "time"),
    "source": ("source",),
    "properties": ("properties", "metadata", "data"),
}

# To the caller of /v1/meter "my tenant" is the customer; everywhere else it is the workspace.
TENANT_ID_MEANS: dict[Door, str] = {
    "events": "tenant_id",
    "compound": "tenant_id",
    "meter": "customer_id",
    "upload": "tenant_id",
    "webhook": "tenant_id",
    "firehose": "tenant_id",
    "pubsub": "tenant_id",
}

# What a field is where the event does not say; in strict mode nothing but a header stands in.
DEFAULTS: dict[str, str] = {
    "idempotency_key": "the header Idempotency-Key (event i of a batch: header:i), else a generated key, returned",
    "tenant_id": "the tenant of the API key",
    "quantity": "1",
    "timestamp": "the time of receipt",
    "source": "the header X-Aforo-Source, else rest",
}
SOURCE_DEFAULT = "rest"


@cache
def names_at(door: Door) -> dict[str, tuple[str, int]]:
    """Every name an event may use at this door: the field it means, and its rank among that field's names."""
    table = {name: (field, rank) for field, names in ALIASES.items() for rank, name in enumerate(names)}
    table["tenantId"] = (TENANT_ID_MEANS[door], len(ALIASES[TENANT_ID_MEANS[door]]))
    return table


def check(draft: Draft, receipt: Receipt) -> Refusal | None:
    """Fill the draft's fields from the raw event; all that is missing or wrong is said at once."""
    raw = draft.raw
    submission = receipt.submission
    if type(raw) is not dict:
        what = raw.reason if type(raw) is Unreadable else f"is {kind_of(raw)}, not an object"
        return field_invalid({"event": what})
    if receipt.has_escapes and not is_storable(raw):
        return field_invalid(
            {"event": "has a text with NUL or half of a surrogate pair, which cannot be stored"}
        )
    errors: dict[str, str] = {}
    if submission.mapping is not None:
        raw = mapped(raw, submission.mapping)
    elif receipt.is_cloud_event or "specversion" in raw:
        raw = plain_event_of(raw, errors)

    found, extra = _fields(raw, names_at(submission.door))
    draft.time = found.get("timestamp")
    # A key first of all: the refusal of anything else should name the event.
    draft.key = _key(found.get("idempotency_key"), draft.index, receipt, errors)
    tenant = found.get("tenant_id")
    if tenant is not None and tenant != submission.tenant_slug:
        if not isinstance(tenant, str):
            errors["tenant_id"] = f"is {kind_of(tenant)}, not text"
        else:
            return Refusal(
                "tenant_mismatch",
                f"tenant_id is {tenant[:64]!r}; the key belongs to another tenant.",
                {"tenant_id": tenant[:TEXT_LENGTH_MAX]},
            )
    draft.customer_id = _text("customer_id", found.get("customer_id"), errors)
    draft.metric = _text("metric", found.get("metric"), errors)
    draft.source = _text("source", found.get("source", submission.source or SOURCE_DEFAULT), errors)
    quantity = found.get("quantity")
    if quantity is not None:
        try:
            draft.quantity = number_of(quantity)
        except NotANumber as error:
            errors["quantity"] = str(error)
    draft.properties = _properties(found.get("properties"), extra, errors)

    missing = _missing(found, draft, receipt)
    if missing:
        return fields_missing(missing, errors)
    return field_invalid(errors) if errors else None


def _fields(raw: dict[str, Any], names: dict[str, tuple[str, int]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the known fields, and everything else. null is the same as not sent."""
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    used: dict[str, str] = {}
    for name, value in raw.items():
        meaning = names.get(name)
        if meaning is None:
            extra[name] = value
        elif value is not None:
            field, rank = meaning
            if field in used:
                other = used[field]
                if names[other][1] < rank:
                    extra[name] = value
                    continue
                extra[other] = found[field]
            used[field] = name
            found[field] = value
    return found, extra


def _missing(found: dict[str, Any], draft: Draft, receipt: Receipt) -> tuple[str, ...]:
    """The required fields for which neither the event nor, by its mode, a header or default stands."""
    if "customer_id" in found and "metric" in found and not receipt.submission.is_strict:
        return ()
    stands = set(found)
    if not receipt.submission.is_strict:
        stands |= DEFAULTS.keys()
    if receipt.key is not None:
        stands.add("idempotency_key")
    if not receipt.is_tenant_demanded:
        stands.add("tenant_id")
    if receipt.submission.source is not None:
        stands.add("source")
    return tuple(field for field in REQUIRED_FIELDS if field not in stands)


def _key(sent: Any, index: int, receipt: Receipt, errors: dict[str, str]) -> str:
    """The key as sent, else made of the header, else generated; "" where it is wrong or strictly missing."""
    if sent is not None:
        return _text("idempotency_key", sent, errors)
    submission = receipt.submission
    if receipt.key is not None:
        # A row's line stays the same wherever a reader cuts its file.
        place = receipt.lines[index] if receipt.lines else index
        key = receipt.key if receipt.is_single else f"{receipt.key}:{place}"
        return _text("idempotency_key", key, errors)
    return "" if submission.is_strict else generated_key(submission.intake_id_of(index))


def _text(field: str, value: Any, errors: dict[str, str]) -> str:
    if type(value) is str and 0 < len(value) <= TEXT_LENGTH_MAX and value.isprintable():
        return value
    if value is not None:
        errors[field] = _why_no_text(value)
    return ""


def _why_no_text(value: Any) -> str:
    if not isinstance(value, str):
        return f"is {kind_of(value)}, not text"
    if not value:
        return "is empty"
    if len(value) > TEXT_LENGTH_MAX:
        return f"has {len(value)} characters; up to {TEXT_LENGTH_MAX} are accepted"
    return "has characters that cannot be printed"


def _properties(sent: Any, extra: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    """What the event carries beside its fields; the object of the raw event itself where nothing joins it."""
    if sent is None:
        return extra
    if type(sent) is not dict:
        errors["properties"] = f"is {kind_of(sent)}, not an object"
        return extra
    if not extra:
        return sent
    for name in extra.keys() & sent.keys():
        if extra[name] != sent[name]:
            errors[name[:64]] = "is given twice, in the event and in its properties, with different values"
    return {**extra, **sent}
