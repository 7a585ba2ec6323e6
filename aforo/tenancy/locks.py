"""Locks: on a tenant, for what may happen once at a time in all of it; and on a task that one process does at a time."""

from __future__ import annotations

from django.db import Error as StoreError
from django.db import connection

from .models import Tenant


def tenant_locked(tenant_id: int) -> None:
    """Until the transaction ends; rows that only refer to the tenant need not wait.

    Rows that exclude each other by an exclusion constraint are written under it: of two at once, the store would end one as
    a deadlock, and nobody could say why.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)


class SessionLock:
    """A lock of the store that one process at a time has, for as long as its connection lives.

    space, number: PostgreSQL's advisory locks have two numbers. stalled_s: a holder that the store has not heard for so long
    (stopped, or its machine is gone) loses its session, and with it the lock and what it had not committed.
    """

    _TIMEOUTS = ("idle_session_timeout", "idle_in_transaction_session_timeout")

    def __init__(self, space: int, number: int, *, stalled_s: int) -> None:
        self._key = [space, number]
        self._stalled_s = stalled_s
        self.is_held = False

    def take(self) -> bool:
        """Whether this process has the lock; asks for it if not, and does not wait."""
        if not self.is_held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", self._key)
                self.is_held = cursor.fetchone()[0]
                if self.is_held:
                    for name in self._TIMEOUTS:
                        cursor.execute("SELECT set_config(%s, %s, false)", [name, f"{self._stalled_s}s"])
        return self.is_held

    def let_go(self) -> None:
        """Give the lock up, and the connection that held it."""
        try:
            if self.is_held:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s, %s)", self._key)
                    cursor.execute("; ".join(f"RESET {name}" for name in self._TIMEOUTS))
        except StoreError:
            # The connection is gone, and the lock with it.
            pass
        self.is_held = False
        if not connection.in_atomic_block:
            connection.close()
