"""The keeper of a site's leases: asks the centre for units as soon as a lease wants some, and gives back what is recalled."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from ..renewals import Centre, LeaseReply, LeaseRequest
from .store import EdgeStore
from .turns import turns_take

BATCH = 200
# So soon a lease that wants units is noticed.
TURN_S = 0.02
# So long a lease that was given nothing waits, however many callers are refused meanwhile: the centre is asked four times a second.
DRY_PAUSE_S = 0.25


class Keeper:
    """store: the site. centre: who hands out units."""

    def __init__(self, store: EdgeStore, centre: Centre) -> None:
        self._store = store
        self._centre = centre
        # What was given nothing: until when it waits, and what it had given back by then.
        self._dry: dict[tuple[str, str, str], tuple[float, int]] = {}

    def run(self, stop: threading.Event, *, outage: tuple[type[Exception], ...] = (OSError,)) -> None:
        """Until told to stop. outage: what the centre raises where it cannot be asked; it is asked again."""
        turns_take(self.turn, stop, name="leases", every_s=TURN_S, outage=outage)

    def turn(self) -> int:
        """Renew what wants units now; returns how many leases that were.

        Raises OSError, django.db.Error or redis.RedisError; what was wanted is wanted still.
        """
        wants = self._store.wants_take(BATCH)
        if not wants:
            return 0
        try:
            self._renew(wants)
        except BaseException:
            self._store.wants_add(wants)
            raise
        return len(wants)

    def _renew(self, wants: list[tuple[str, str, str]]) -> None:
        epoch = self._store.epoch_ensure()
        now_s = time.monotonic()
        self._dry = {name: dry for name, dry in self._dry.items() if dry[0] > now_s}
        by_tenant: dict[str, list[LeaseRequest]] = defaultdict(list)
        waiting = []
        for tenant, customer, feature in wants:
            # What is given back is gone here before the centre hears of it.
            returned = self._store.lease_return(tenant, customer, feature)
            if self._dry.get((tenant, customer, feature), (0.0, -1))[1] == returned:
                waiting.append((tenant, customer, feature))
                continue
            state = self._store.lease_state(tenant, customer, feature)
            by_tenant[tenant].append(
                LeaseRequest(customer, feature, state.granted, returned, state.lease or None)
            )
        self._store.wants_add(waiting)
        for tenant, requests in by_tenant.items():
            replies = self._centre.renew(tenant, self._store.edge, epoch, requests)
            for request, reply in zip(requests, replies, strict=False):
                if _is_dry(request, reply):
                    name = (tenant, request.customer, request.feature)
                    self._dry[name] = (now_s + DRY_PAUSE_S, request.returned)
                if reply.lease is not None:
                    self._store.lease_apply(
                        tenant, reply.customer, reply.feature, reply.window_start_ms, reply.lease
                    )


def _is_dry(request: LeaseRequest, reply: LeaseReply) -> bool:
    """Whether the site was given nothing that it did not have. Another lease, as in a new window, is new from its first unit."""
    lease = reply.lease
    return lease is None or lease.granted <= (request.have if lease.lease == request.lease else 0)
