"""One gateway site kept in step with the centre, over HTTP only: records in, leases renewed, events out.

Three loops, each in a thread of its own, so that none waits for another's network:

sync       twice a second what has changed; all of it at the start, after the site was emptied, and every 30 s
leases     as soon as a lease wants units
forward    what the spool holds

A loop that cannot reach the centre or its Redis says so once, and tries on; the site goes on deciding meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from aforo.kernel.clock import now

from ..records import milliseconds
from .centre import Centre
from .forwarding import Forwarder
from .keeper import Keeper
from .layout import PREFIX
from .sending import Sender
from .store import EdgeStore
from .turns import turns_take

SYNC_EVERY_S = 0.5
REPAIR_EVERY_S = 30.0
FORWARD_EVERY_S = 0.5
PAGE_RECORDS = 1_000
# Where the loops say how they are, for whoever answers /metrics.
STATE = f"{PREFIX}:agent"

_logger = logging.getLogger(__name__)


class Sync:
    """Brings the centre's records to a site."""

    def __init__(self, store: EdgeStore, centre: Centre) -> None:
        self._store = store
        self._centre = centre
        self._repair_due_s = 0.0

    def turn(self) -> None:
        """What is new; all of it where the site is not complete, or where that was long ago."""
        epoch = self._store.epoch_ensure()
        meta = self._store.meta()
        is_due = time.monotonic() >= self._repair_due_s
        after = 0 if is_due or not meta.is_complete else meta.cursor
        while True:
            asked_ms = milliseconds(now())
            page = self._centre.changes(after, PAGE_RECORDS)
            applied = self._store.apply(page.records)
            if is_due and applied and meta.is_complete:
                _logger.info("repaired records=%s", applied)
            after = max(after, page.cursor)
            if not page.has_more:
                break
        heard_ms = asked_ms - (page.age_ms or 0)
        if self._store.synced(epoch=epoch, at_ms=heard_ms, cursor=after, is_complete=True):
            self._store.redis.hset(STATE, "tenant", page.tenant)
            if is_due:
                self._repair_due_s = time.monotonic() + REPAIR_EVERY_S


class Agent:
    """A site and its three loops. spool: the folder in which events wait."""

    def __init__(self, store: EdgeStore, centre: Centre, spool: Path) -> None:
        self._store = store
        self._sync = Sync(store, centre)
        self._keeper = Keeper(store, centre)
        self._forwarder = Forwarder(Sender(centre), spool)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; then what is spooled is sent once more."""
        turns = (
            partial(turns_take, self._sync.turn, name="sync", every_s=SYNC_EVERY_S),
            partial(turns_take, self._state_tell, name="state", every_s=SYNC_EVERY_S),
            self._keeper.run,
        )
        loops = [threading.Thread(target=one, args=(stop,), daemon=True) for one in turns]
        for loop in loops:
            loop.start()
        self._forwarder.run(stop, every_s=FORWARD_EVERY_S)
        for loop in loops:
            loop.join(timeout=5)

    def _state_tell(self) -> None:
        self._store.redis.hset(
            STATE, mapping={**asdict(self._forwarder.tally), "told_at": milliseconds(now())}
        )
