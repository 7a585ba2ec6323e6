"""Texts that a store keeps: all but NUL and halves of surrogate pairs, which JSON can spell and no database takes."""

from __future__ import annotations

import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(value: Any) -> Any:
    """The value with NUL and lone surrogates written out as \\u0000, \\ud800: no store keeps them as they are."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def is_storable(value: Any) -> bool:
    """Whether no text in the value, at any depth, holds NUL or half of a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(item) for name, item in value.items())
    return all(map(is_storable, value)) if isinstance(value, list) else True
