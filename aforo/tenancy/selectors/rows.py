"""Looking rows up: one by the name that its tenant gave it, many by a list."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Never, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable

Row = TypeVar("Row", bound=Model)


def found(rows: QuerySet[Row], **named: Any) -> Row:
    """The one row of these values; rows are already those of one tenant.

    Raises Problem not_found, the same for a row of another tenant as for none: No rate plan 'llm-payg'.
    """
    row = rows.filter(**named).first() if is_storable(list(named.values())) else None
    if row is None:
        said = ", ".join(repr(value) if isinstance(value, str) else str(value) for value in named.values())
        raise Problem("not_found", f"No {rows.model._meta.verbose_name} {said}.")
    return row


def given(**filters: Any) -> dict[str, Any]:
    """The filters of a list that somebody gave: those that are not None."""
    return {name: value for name, value in filters.items() if value is not None}


def listed(values: Collection[int] | Collection[datetime] | Collection[str]) -> RawSQL | list[Never]:
    """`customer__in=listed(ids)`: the values as one parameter.

    Each of them is else written into the statement by itself, which takes Django and the driver as long as reading a row.
    """
    if not values:
        # Of which type the column is does not matter then: nothing is asked.
        return []
    kinds = {type(value) for value in values}
    if kinds == {int}:
        # Written here: the driver writes a list value by value.
        return RawSQL("SELECT unnest(%s::bigint[])", ["{" + ",".join(map(str, values)) + "}"])
    kind = "timestamptz" if kinds == {datetime} else "text"
    return RawSQL(f"SELECT unnest(%s::{kind}[])", [list(values)])
