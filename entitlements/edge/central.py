"""The central site: the Redis that this installation's own decisions read, brought from the version it has to the present one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.db import Error as StoreError
from django.db import connections

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant
from aforo.tenancy.models.tenant import path_parts

from ..records import milliseconds
from ..renewals import LeaseReply, LeaseRequest
from ..services.leases import leases_renew
from .feed import changes_after
from .gate import Gate
from .keeper import Keeper
from .keys import EdgeKeys
from .layout import record_key
from .store import EdgeStore

# Records of one round trip, and round trips of one turn.
PAGE = 1_000
PAGES_MAX = 10


def central_store() -> EdgeStore:
    """This process's client of the central site."""
    return _store(settings.REDIS_URL)


def central_keys() -> EdgeKeys:
    """The API keys as the central site knows them."""
    return _keys(central_store())


def central_gate() -> Gate:
    """The calls of the central site."""
    return Gate(central_store())


@lru_cache(maxsize=4)
def _store(url: str) -> EdgeStore:
    return EdgeStore(url)


@lru_cache(maxsize=4)
def _keys(store: EdgeStore) -> EdgeKeys:
    return EdgeKeys(store)


class PlainCentre:
    """Hands out units to the central site, by plain calls."""

    def renew(self, tenant: str, edge: str, epoch: str, requests: Sequence[LeaseRequest]) -> list[LeaseReply]:
        slug, environment = path_parts(tenant)
        row = Tenant.objects.get(slug=slug, environment=environment)
        return leases_renew(tenant=row, edge=edge, epoch=epoch, requests=requests)


def central_leases_keep(stop: threading.Event) -> None:
    """Keep the central site's leases until told to stop; in a thread of its own, with its own connection."""
    try:
        Keeper(EdgeStore(settings.REDIS_URL), PlainCentre()).run(stop, outage=(StoreError,))
    finally:
        connections.close_all()


class CentralSite:
    """Every method raises redis.RedisError where the site does not answer."""

    def __init__(self) -> None:
        self._store = EdgeStore(settings.REDIS_URL)
        # How far the records of the site have been looked through; None while nobody asks.
        self._checked_to: int | None = None

    def turn(self, *, is_whole: bool) -> int:
        """Take over what changed; returns how many records were missing and nobody had told.

        is_whole: every record has been made, so that a site that has them all knows what does not exist. A site that was
        emptied has another epoch and no cursor, and is filled again by the same way.
        """
        epoch = self._store.epoch_ensure()
        meta = self._store.meta()
        cursor = meta.cursor if meta.epoch == epoch else 0
        for _ in range(PAGES_MAX):
            heard_ms = milliseconds(now())
            records = changes_after(cursor, PAGE)
            if records:
                self._store.apply(records)
                cursor = records[-1].version
            is_level = len(records) < PAGE
            is_complete = True if is_whole and is_level else None
            if not self._store.synced(epoch=epoch, at_ms=heard_ms, cursor=cursor, is_complete=is_complete):
                return 0
            if is_level:
                return self._check(cursor)
        return 0

    def check(self) -> None:
        """Look through all that the site has, in the turns to come, for what is missing or older than it should be."""
        self._checked_to = 0

    def _check(self, cursor: int) -> int:
        if self._checked_to is None:
            return 0
        records = [one for one in changes_after(self._checked_to, PAGE) if one.version <= cursor]
        versions = self._store.versions([record_key(record) for record in records])
        lacking = [
            record
            for record, version in zip(records, versions, strict=True)
            if version is None or version < record.version
        ]
        if lacking:
            self._store.apply(lacking)
        self._checked_to = records[-1].version if len(records) == PAGE else None
        return len(lacking)
