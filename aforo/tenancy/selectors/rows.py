"""Looking one row up by the name that its tenant gave it."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

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
