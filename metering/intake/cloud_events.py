"""A CloudEvent 1.0 as a plain event: id, source, type, subject and time have their fields, data the rest.

Source: CloudEvents 1.0.2, context attributes and the HTTP and JSON bindings.
"""

from __future__ import annotations

from typing import Any

from ..meters import kind_of

FIELDS = {
    "id": "idempotency_key",
    "source": "source",
    "type": "metric",
    "subject": "customer_id",
    "time": "timestamp",
}
# About the envelope, not about the usage.
_ENVELOPE = frozenset({"specversion", "datacontenttype", "data"})


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
    data = raw.get("data")
    if data is None:
        data = {}
    elif not isinstance(data, dict):
        errors["data"] = f"is {kind_of(data)}, not an object"
        data = {}
    if raw.get("data_base64") is not None:
        errors["data_base64"] = "is not read; send the data as JSON"
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
