"""Usage contexts: what enrichment found for an event, as the number of one shared row."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from .models import UsageContext as ContextRow
from .ports import UsageContext


class ContextKey(NamedTuple):
    """Everything that a context row says."""

    tenant_id: int
    customer_id: int
    metric: str
    source: str
    context: UsageContext


# About 30 MB; a process that meets more starts anew rather than growing.
KEPT_MAX = 100_000

_ids: dict[ContextKey, int] = {}


def context_ids(keys: Collection[ContextKey]) -> dict[ContextKey, int]:
    """The row of each key, made where it is not there yet; any number of processes may ask for the same."""
    found = {key: _ids[key] for key in keys if key in _ids}
    missing = [key for key in keys if key not in found]
    if missing:
        read = _read(missing)
        absent = sorted((key for key in missing if key not in read), key=_order)
        if absent:
            ContextRow.objects.bulk_create(map(_row, absent), ignore_conflicts=True)
            read |= _read(absent)
        found |= read
        # Rows of a transaction that fails are gone, so they are remembered once it has committed.
        transaction.on_commit(lambda: _remember(read))
    return found


def _remember(read: dict[ContextKey, int]) -> None:
    if len(_ids) + len(read) > KEPT_MAX:
        _ids.clear()
    _ids.update(read)


def _read(keys: Collection[ContextKey]) -> dict[ContextKey, int]:
    rows = ContextRow.objects.filter(
        tenant_id__in={key.tenant_id for key in keys},
        customer_id__in={key.customer_id for key in keys},
        metric__in={key.metric for key in keys},
    ).values_list(
        "tenant_id", "customer_id", "metric", "source", "subscription_id", "plan_version_id", "product", "id"
    )
    return {ContextKey(*row[:4], UsageContext(*row[4:7])): row[7] for row in rows}


def _row(key: ContextKey) -> ContextRow:
    return ContextRow(
        tenant_id=key.tenant_id,
        customer_id=key.customer_id,
        metric=key.metric,
        source=key.source,
        subscription_id=key.context.subscription_id,
        plan_version_id=key.context.plan_version_id,
        product=key.context.product,
    )


def _order(key: ContextKey) -> tuple[int, int, str, str, UUID, UUID, str]:
    """In one order everywhere, so that two transactions never wait for each other crosswise."""
    nothing = UUID(int=0)
    context = key.context
    return (
        *key[:4],
        context.subscription_id or nothing,
        context.plan_version_id or nothing,
        context.product,
    )
