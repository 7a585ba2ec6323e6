"""What a change made of a row, written into the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from aforo.audit.services import audit_write
from aforo.tenancy.models import Customer, Tenant

# What every row has, and none is changed in.
_LEFT_OUT = frozenset({"id", "tenant", "created_at"})


def fields_of(row: Model) -> dict[str, Any]:
    """The row's fields as the store has them, whatever they were set from; another row by its name, such as a meter's key."""
    fields = [field for field in row._meta.concrete_fields if field.name not in _LEFT_OUT]
    return {field.name: _value(row, field) for field in fields}


def _value(row: Model, field: Any) -> Any:
    value = getattr(row, field.name)
    if isinstance(value, Customer):
        # Not by its name, which may be a person's.
        return value.external_id
    return str(value) if isinstance(value, Model) else field.to_python(value)


def change_write(
    *,
    tenant: Tenant,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """An audit entry of what is not as it was; none where nothing changed. See `audit_write`.

    before, after: the same fields, then and now.
    """
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        audit_write(
            tenant=tenant,
            actor=actor,
            action=action,
            subject=subject,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
