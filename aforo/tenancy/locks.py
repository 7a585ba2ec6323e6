"""The lock on a tenant, for what may happen once at a time in all of it."""

from __future__ import annotations

from .models import Tenant


def tenant_locked(tenant_id: int) -> None:
    """Until the transaction ends; rows that only refer to the tenant need not wait.

    Rows that exclude each other by an exclusion constraint are written under it: of two at once, the store would end one as
    a deadlock, and nobody could say why.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
