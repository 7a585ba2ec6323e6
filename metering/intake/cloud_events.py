"""A CloudEvent 1.0 as a plain event: id, source, type, subject and time have their fields, data the rest.

Source: CloudEvents 1.0.2, context attributes and the HTTP and JSON bindings.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable

from ..meters import kind_of
from ..strict_json import check_shape, read_json

FIELDS = {
    "id": "idempotency_key",
    "source": "source",
    "type": "metric",
    "subject": "customer_id",
    "time": "timestamp",
}
# About the envelope, not about the usage.
_ENVELOPE = frozenset({"specversion", "datacontenttype", "data", "data_base64"})


def is_cloud_event(raw: dict[str, Any], content_type: str | None) -> bool:
    """Whether the event says so itself, or its request's media type does."""
    return "specversion" in raw or (content_type is not None and "cloudevents" in content_type.lower())


def plain_event_of(raw: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    """The event with our names; data.quantity or data.value is the quantity, all else becomes properties.

    {"specversion": "1.0", "id": "1", "source": "/gw", "type": "api.call", "subject": "cust_abc",
     "data": {"quantity": 3, "model": "gpt-4o"}} is quantity 3 with the property model.
    """
    if raw.get("specversion") != "1.0":
        errors["specversion"] = "is not 1.0"
    name = "data" if raw.get("data_base64") is None else "data_base64"
    data = raw.get(name)
    if name == "data_base64":
        if raw.get("data") is not None:
            errors["data"] = "is given twice, as data and as data_base64"
        data = _decoded(data)
    if data is None:
        data = {}
    elif not isinstance(data, dict):
        errors[name] = f"is {kind_of(data)}, not an object"
        data = {}
    event: dict[str, Any] = {field: raw[name] for name, field in FIELDS.items() if name in raw}
    properties = {name: value for name, value in raw.items() if name not in FIELDS and name not in _ENVELOPE}
    quantity_name = "quantity" if data.get("quantity") is not None else "value"
    event["quantity"] = data.get(quantity_name)
    for name, value in data.items():
        if name == quantity_name:
            continue
        if name in properties and properties[name] != value:
            errors[name[:64]] = "is given twice, as an attribute and in data, with different values"
        properties[name] = value
    event["properties"] = properties
    return event


def _decoded(data: Any) -> Any:
    """The JSON in base64; what is none stays as it is, which is no object."""
    if not isinstance(data, str):
        return data
    try:
        content = b64decode(data, validate=True)
        check_shape(content)
        value = read_json(content)
    except (ValueError, Problem):
        return data
    return value if is_storable(value) else data
