"""Usage contexts: what enrichment found for an event, as the number of one shared row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

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


def context_ids(keys: Sequence[ContextKey]) -> list[int]:
    """The row of each key, made where it is not there yet; any number of processes may ask for the same."""
    ids = list(map(_ids.get, keys))
    if None not in ids:
        return ids
    missing = list(dict.fromkeys(key for key, found in zip(keys, ids, strict=True) if found is None))
    read = _read(missing)
    absent = sorted((key for key in missing if key not in read), key=_order)
    if absent:
        _make(absent)
        read |= _read(absent)
    # Rows of a transaction that fails are gone, so they are remembered once it has committed.
    transaction.on_commit(lambda: _remember(read))
    return [read[key] if found is None else found for key, found in zip(keys, ids, strict=True)]


def _remember(read: dict[ContextKey, int]) -> None:
    if len(_ids) + len(read) > KEPT_MAX:
        _ids.clear()
    _ids.update(read)


_COLUMNS = "tenant_id, customer_id, metric, source, subscription_id, plan_version_id, product"
_ASKED = f"""unnest(%s::integer[], %s::bigint[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::text[])
    WITH ORDINALITY AS asked ({_COLUMNS}, place)"""
_READ = f"""
SELECT asked.place, context.id
FROM {_ASKED} JOIN metering_usagecontext AS context USING (tenant_id, customer_id, metric, source, product)
WHERE context.subscription_id IS NOT DISTINCT FROM asked.subscription_id
AND context.plan_version_id IS NOT DISTINCT FROM asked.plan_version_id
"""
_MAKE = f"""
INSERT INTO metering_usagecontext ({_COLUMNS}) SELECT {_COLUMNS} FROM {_ASKED} ORDER BY place
ON CONFLICT DO NOTHING
"""


def _read(keys: Sequence[ContextKey]) -> dict[ContextKey, int]:
    with connection.cursor() as cursor:
        cursor.execute(_READ, _columns(keys))
        return {keys[place - 1]: context_id for place, context_id in cursor.fetchall()}


def _make(keys: Sequence[ContextKey]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, _columns(keys))


def _columns(keys: Sequence[ContextKey]) -> list[list[object]]:
    rows = [
        (*key[:4], key.context.subscription_id, key.context.plan_version_id, key.context.product)
        for key in keys
    ]
    return [list(column) for column in zip(*rows, strict=True)]


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
