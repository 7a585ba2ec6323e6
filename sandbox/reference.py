"""The table of docs/billing/worked_examples.md, made from the format's own structs; docs/generate.py writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from .scenario import Scenario, Table


def scenario() -> Iterable[tuple[str, ...]]:
    yield "table", "keys (required ones bold)", "notes"
    yield from _rows("", Scenario, many=False)


def _rows(path: str, table: type[Table], *, many: bool) -> Iterable[tuple[str, ...]]:
    plain, inner = [], []
    for field in msgspec.structs.fields(table):
        found, is_many = _table_of(field.type)
        if found is None:
            plain.append(f"**`{field.name}`**" if field.required else f"`{field.name}`")
        else:
            inner.append((f"{path}.{field.name}".lstrip("."), found, is_many))
    place = f"`[[{path}]]`" if many else f"`[{path}]`"
    doc = table.__dict__.get("__doc__") or ""
    yield place if path else "top", ", ".join(plain), " ".join(doc.split())
    for place, found, is_many in inner:
        yield from _rows(place, found, many=is_many)


def _table_of(kind: Any) -> tuple[type[Table] | None, bool]:
    """The table behind a field's type, and whether it stands in a list."""
    if isinstance(kind, type) and issubclass(kind, Table):
        return kind, False
    for part in getattr(kind, "__args__", ()):
        found, _ = _table_of(part)
        if found is not None:
            return found, getattr(kind, "__origin__", None) is tuple or _table_of(part)[1]
    return None, False


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {"scenario": scenario}
