"""The keeper of a site's leases: asks the centre for units as soon as a lease wants some, and gives back what is recalled."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from redis import RedisError

from ..renewals import Centre, LeaseRequest
from .store import EdgeStore

BATCH = 200
# So soon a lease that wants units is noticed.
TURN_S = 0.02
PAUSE_S = 0.5

_logger = logging.getLogger(__name__)


class Keeper:
    """store: the site. centre: who hands out units."""

    def __init__(self, store: EdgeStore, centre: Centre) -> None:
        self._store = store
        self._centre = centre

    def run(self, stop: threading.Event, *, outage: tuple[type[Exception], ...] = (OSError,)) -> None:
        """Until told to stop. outage: what the centre raises where it cannot be asked; it is asked again."""
        trouble = ""
        while not stop.is_set():
            try:
                has_done = self.turn()
                if trouble and has_done:
                    _logger.info("leases are renewed again")
                    trouble = ""
                stop.wait(TURN_S)
            except (*outage, RedisError) as error:
                said = (str(error).strip() or repr(error)).splitlines()[0]
                if said != trouble:
                    trouble = said
                    _logger.warning("leases wait: %s", trouble)
                stop.wait(PAUSE_S)

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
        by_tenant: dict[str, list[LeaseRequest]] = defaultdict(list)
        for tenant, customer, feature in wants:
            # What is given back is gone here before the centre hears of it.
            returned = self._store.lease_return(tenant, customer, feature)
            state = self._store.lease_state(tenant, customer, feature)
            by_tenant[tenant].append(
                LeaseRequest(customer, feature, state.granted, returned, state.lease or None)
            )
        for tenant, requests in by_tenant.items():
            for reply in self._centre.renew(tenant, self._store.edge, epoch, requests):
                if reply.lease is not None and reply.lease.epoch == self._store.meta().epoch:
                    self._store.lease_apply(
                        tenant, reply.customer, reply.feature, reply.window_start_ms, reply.lease
                    )
