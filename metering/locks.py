"""The lock between new events and corrections of old ones, a tenant at a time; it lasts until the transaction ends.

A correction aggregates the hours that it touches again, from the events. It would miss those of a transaction that has
not committed yet, and that transaction would add them to buckets made without them. So whoever stores new events
shares the lock, and a correction has it alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

# PostgreSQL's advisory locks have two numbers: this one, and the tenant.
LOCK = 0x6166_6365

_SHARED = """
SELECT pg_advisory_xact_lock_shared(%s, tenant_id)
FROM (SELECT unnest(%s::integer[]) AS tenant_id ORDER BY 1) AS tenants
"""


def new_events_locked(tenant_ids: Iterable[int]) -> None:
    """No correction of these tenants runs beside the caller's transaction; others that store new events may."""
    with connection.cursor() as cursor:
        cursor.execute(_SHARED, [LOCK, list(tenant_ids)])


def correction_locked(tenant_id: int) -> None:
    """Nothing of the tenant is stored or corrected beside the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, tenant_id])
