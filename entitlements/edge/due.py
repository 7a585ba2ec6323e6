"""Due: when time alone will make other records of a customer; the soonest first."""

from __future__ import annotations

import heapq
from datetime import datetime


class Due:
    """Of each customer (its tenant's row and its own) the one instant that was said last."""

    def __init__(self) -> None:
        self._queue: list[tuple[datetime, int, int]] = []
        self._at: dict[int, datetime] = {}

    def put(self, tenant_id: int, customer_id: int, at: datetime | None) -> None:
        """The customer is due then, and no more when it was before; None for never."""
        if at is None:
            self._at.pop(customer_id, None)
        elif self._at.get(customer_id) != at:
            self._at[customer_id] = at
            heapq.heappush(self._queue, (at, tenant_id, customer_id))

    def take(self, at: datetime, count_max: int) -> tuple[int, list[int]] | None:
        """A tenant, and up to so many of its customers who are due at an instant, and then no more; None where nobody is."""
        taken: list[int] = []
        of = None
        while self._queue and self._queue[0][0] <= at and len(taken) < count_max:
            due_at, tenant_id, customer_id = self._queue[0]
            if self._at.get(customer_id) == due_at:
                if of not in (None, tenant_id):
                    break
                of = tenant_id
                taken.append(customer_id)
                del self._at[customer_id]
            heapq.heappop(self._queue)
        return None if of is None else (of, taken)
