"""News for the edge: customers whose records may say something else from now on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from aforo.outbox.services import fact_write
from aforo.tenancy.models import Tenant

TOUCHED = "entitlements.touched"


def touched(*, tenant: Tenant, customer_ids: Collection[int] | None, since: datetime | None = None) -> None:
    """These customers' records are made again and published, if the caller's transaction commits; within a second.

    customer_ids: rows of the tenant's customers; None for all of them, and for what the tenant's own record says.
    since: when that was told first, of what is told again.
    """
    if customer_ids is None or customer_ids:
        body = {"customer_ids": None if customer_ids is None else sorted(customer_ids)}
        fact_write(tenant=tenant, topic=TOUCHED, body=body, created_at=since)
