"""Canonical bytes: equal values give equal JSON, on every machine, so that a hash proves equality."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring as quoted
from types import NoneType
from typing import Any
from uuid import UUID

from .decimals import trimmed
from .periods import instant_text

_REQUIRED = object()
_DEFAULTS: dict[type, tuple[tuple[str, Any], ...]] = {}


def canonical_value(value: Any) -> Any:
    """Reduce to what JSON has: decimals and instants as text, mappings with text keys, tuples as lists.

    1.50 and 1.5 are one value ("1.5"); an instant is written in UTC. A dataclass is written without the fields that
    have their default, so that a field added later leaves the bytes of older values as they were; a default of
    what has been sealed is therefore never changed.
    Raises TypeError for a float or any other type: a value without one spelling cannot be hashed.
    """
    kind = type(value)
    # By exact type first: a month of hours is ten thousand numbers and instants.
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return canonical_value(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: canonical_value(item) for name, item in given_fields(value).items()}
    if isinstance(value, Mapping):
        return {str(key): canonical_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(canonical_value(item) for item in value)
    raise TypeError(f"{kind.__name__} has no canonical form")


def given_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their default, and those without one."""
    found = {}
    kind = type(value)
    if kind not in _DEFAULTS:
        _DEFAULTS[kind] = tuple((field.name, _default(field)) for field in fields(kind))
    for name, default in _DEFAULTS[kind]:
        item = getattr(value, name)
        if item is not default and item != default:
            found[name] = item
    return found


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON of the canonical value with sorted keys and no spaces: {"a":"1.5"}."""
    return _text(value).encode()


def _text(value: Any) -> str:
    """Written at once, without the value in between: a bill run hashes each invoice a dozen times."""
    kind = type(value)
    write = _TEXTS.get(kind)
    if write is not None:
        return write(value)
    if is_dataclass(value) and not isinstance(value, type):
        given = given_fields(value)
        return "{" + ",".join([f'"{name}":{_text(given[name])}' for name in sorted(given)]) + "}"
    return json.dumps(canonical_value(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _mapping_text(value: Mapping[Any, Any]) -> str:
    texts = {str(key): item for key, item in value.items()}
    return "{" + ",".join([f"{quoted(name)}:{_text(texts[name])}" for name in sorted(texts)]) + "}"


def _list_text(value: Any) -> str:
    return "[" + ",".join([_text(item) for item in value]) + "]"


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 over the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))


_WRITERS: dict[type, Callable[[Any], Any]] = {
    Decimal: trimmed,
    datetime: instant_text,
    date: date.isoformat,
    UUID: str,
    str: str,
    int: int,
    tuple: lambda value: [canonical_value(item) for item in value],
}

_TEXTS: dict[type, Callable[[Any], str]] = {
    Decimal: lambda value: f'"{trimmed(value)}"',
    datetime: lambda value: f'"{instant_text(value)}"',
    str: quoted,
    int: str,
    bool: lambda value: "true" if value else "false",
    NoneType: lambda value: "null",
    tuple: _list_text,
    list: _list_text,
    dict: _mapping_text,
}


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return _REQUIRED if field.default_factory is MISSING else field.default_factory()
