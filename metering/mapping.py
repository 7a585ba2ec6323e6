"""Mapping: where in another system's payload our fields are found.

    "customer_id": "data.account.id"    a path: names and places in lists, with dots between
    "metric": "=api.call"               a text that stands for every event
    "properties.model": "data.model"    one property
    "events": "data.items"              the list of which each item is an event; what stands beside it belongs to each

What no entry names is left where it is: a foreign payload is full of what is no usage, and of what is personal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .event import REQUIRED_FIELDS
from .raw_events import RawEvents

EVENTS = "events"
PROPERTY = "properties."
TEXT = "="
# The tenant is the one whose secret signed the payload.
FIELDS = (*(field for field in REQUIRED_FIELDS if field != "tenant_id"), "properties")


def wrong_entries(mapping: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a mapping: entry to sentence, empty where nothing is."""
    errors = {}
    for name, path in mapping.items():
        if name not in (*FIELDS, EVENTS) and not (name.startswith(PROPERTY) and name != PROPERTY):
            errors[name] = f"is no field; there are {', '.join(FIELDS)}, {PROPERTY}… and {EVENTS}"
        elif not isinstance(path, str) or not _is_path(path):
            errors[name] = "is neither a path such as data.units nor a text such as =api.call"
    return errors


def items_of(payload: Any, mapping: Mapping[str, str]) -> RawEvents:
    """The events of a payload: itself, or the items of the list that the entry `events` names."""
    path = mapping.get(EVENTS)
    items = None if path is None else _at(payload, path)
    if not isinstance(items, list):
        events = RawEvents([payload])
        events.is_single = True
        return events
    beside = _without(payload, path.split(".")) if path is not None else {}
    return RawEvents({**beside, **item} if isinstance(item, dict) else item for item in items)


def mapped(item: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """The event with our names; a path that leads nowhere is a field that was not sent.

    {"data": {"units": 3}} under {"quantity": "data.units", "metric": "=api.call"} is
    {"quantity": 3, "metric": "api.call"}.
    """
    event: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, path in mapping.items():
        value = path.removeprefix(TEXT) if path.startswith(TEXT) else _at(item, path)
        if name == EVENTS or value is None:
            continue
        if name.startswith(PROPERTY):
            properties[name.removeprefix(PROPERTY)] = value
        else:
            event[name] = value
    if properties:
        own = event.get("properties")
        event["properties"] = {**own, **properties} if isinstance(own, dict) else properties
    return event


def _is_path(path: str) -> bool:
    return len(path) > 1 if path.startswith(TEXT) else "" not in path.split(".")


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 6:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def _without(payload: Any, names: list[str]) -> dict[str, Any]:
    """The payload without what lies at the path, so that an item does not carry all of its neighbours."""
    if not isinstance(payload, dict):
        return {}
    head, *rest = names
    if not rest:
        return {name: value for name, value in payload.items() if name != head}
    return {name: _without(value, rest) if name == head else value for name, value in payload.items()}
