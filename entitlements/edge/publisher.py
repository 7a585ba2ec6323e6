"""The publisher: what changed is compiled into records, and the central site's Redis is brought up to them.

It works in turns, some ten a second. A turn compiles the customers that facts tell of, that time has changed, or that are
new; the keys that changed; and a piece of the repair, which makes all records anew every 30 s and so finds what nobody told.
Then it brings the central site from the version it has to the present one, exactly as remote sites bring themselves. One
publisher works, by a lock; others wait. What it keeps in memory is only what is still to be done, and a new one starts with
everything.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error as StoreError
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef
from redis import RedisError

from aforo.kernel.clock import now
from aforo.outbox.services import facts_take
from aforo.tenancy.locks import SessionLock
from aforo.tenancy.models import ApiKey, Customer, Tenant
from metering.reading import is_outage

from ..models import EdgeRecordKind, EdgeRecordRow, PublisherState
from ..ports import standing_source
from ..services.touched import TOUCHED
from .central import CentralSite
from .compilation import customer_records, key_records, tenant_record
from .feed import records_removed, records_write

# PostgreSQL's advisory locks have two numbers; there is one publisher.
LOCK = 0x6166_6570
STALLED_S = 15

TURN_S = 0.1
PAUSE_S = 0.5
REPAIR_EVERY_S = 30.0
STATE_EVERY_S = 0.5
FACTS_MAX = 500
# Customers of one compilation, which is a fixed number of queries.
CHUNK = 500
# What a turn does of everything that is to be made anew; a change waits for no more than that.
WALKED_MAX = 500
# A transaction that changed a key may commit so long after its clock was read.
KEYS_OVERLAP = timedelta(seconds=10)

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Walk:
    """A tenant whose records are all made anew, customer by customer; after: the last one done."""

    tenant: Tenant
    after: int = 0
    is_repair: bool = False


class Publisher:
    """stop: set by another thread or a signal, to end `run` after its present turn."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._lock = SessionLock(LOCK, 0, stalled_s=STALLED_S)
        self._site = CentralSite()
        self._is_site_away = False
        self._forget()

    def _forget(self) -> None:
        """Start with everything: what was done while another publisher worked is not known."""
        self._walks: deque[_Walk] | None = None
        # Whether every record has been made once, so that what is missing does not exist.
        self._is_walked = False
        self._due: list[tuple[datetime, int, int]] = []
        self._keys_since: datetime | None = None
        self._customers_since = 0
        self._customers_last = 0
        self._due_s: dict[str, float] = {}

    def run(self) -> None:
        """Publish until told to stop. PostgreSQL or Redis away: wait, and go on when they are back."""
        _logger.info("publisher starts")
        trouble = ""
        while not self._stop.is_set():
            started_s = time.monotonic()
            try:
                if self._lock.take():
                    self.turn()
                    if trouble:
                        _logger.info("publishes again")
                        trouble = ""
            except StoreError as error:
                if _first_line(error) != trouble:
                    trouble = _first_line(error)
                    _logger.warning("cannot publish, waiting: %s", trouble)
                self._lock.let_go()
                self._forget()
            took_s = time.monotonic() - started_s
            # No more than half of the time: the store has other things to do.
            self._stop.wait(max(TURN_S, took_s) if self._lock.is_held else PAUSE_S)
        self._lock.let_go()
        _logger.info("publisher ends")

    def turn(self) -> None:
        """One turn. Raises django.db.Error where the store is away; a site that is away is tried again."""
        if self._walks is None:
            self._walks = deque()
            self._walks_start()
        standing_source().told()
        self._facts_publish()
        self._keys_publish()
        self._customers_publish()
        self._walk()
        try:
            repaired = self._site.turn(is_whole=self._is_walked)
            if repaired:
                self._repaired("the central site", repaired)
            if self._is_site_away:
                _logger.info("central site is back")
            self._is_site_away = False
        except RedisError as error:
            if not self._is_site_away:
                _logger.warning("central site away, waiting: %s", _first_line(error))
            self._is_site_away = True
        if self._is_due("repair", REPAIR_EVERY_S) and not self._walks:
            self.repair()
        if self._is_due("state", STATE_EVERY_S):
            self._state_write(turned_at=now())

    def publish(self) -> bool:
        """Turn until all is made and the site has it. False, and nothing done, where another publisher works.

        Raises django.db.Error or RedisError where store or site is away.
        """
        if not self._lock.take():
            return False
        self._forget()
        try:
            self.turn()
            while self._walks:
                self.turn()
            self._site.turn(is_whole=True)
        finally:
            self._lock.let_go()
        return True

    def repair(self) -> None:
        """Look through everything in the turns to come: all records are made anew, and the site is asked what it has."""
        self._walks_start(is_repair=True)
        self._site.check()

    # What is compiled

    def _facts_publish(self) -> None:
        with transaction.atomic():
            facts = facts_take(TOUCHED, FACTS_MAX)
            customers: dict[int, set[int]] = defaultdict(set)
            for fact in facts:
                if fact.body["customer_ids"] is None:
                    self._walk_anew(fact.tenant_id)
                else:
                    customers[fact.tenant_id].update(fact.body["customer_ids"])
            for tenant_id, customer_ids in customers.items():
                self._customers_write(Tenant.objects.get(pk=tenant_id), customer_ids)

    def _keys_publish(self) -> None:
        """The keys that changed, and their tenants, which may be new. What was deleted is found by the repair."""
        since, at = self._keys_since, now()
        if since is not None:
            changed = ApiKey.objects.filter(touched_at__gt=since - KEYS_OVERLAP).select_related("tenant")
            by_tenant: dict[Tenant, list[ApiKey]] = defaultdict(list)
            for key in changed:
                by_tenant[key.tenant].append(key)
            for tenant, keys in by_tenant.items():
                records_write(tenant=tenant, records=[tenant_record(tenant), *key_records(keys)], at=at)
        self._keys_since = at

    def _customers_publish(self) -> None:
        """Those that time has changed, and those that are new."""
        customers: dict[int, set[int]] = defaultdict(set)
        while self._due and self._due[0][0] <= now():
            _, tenant_id, customer_id = heapq.heappop(self._due)
            customers[tenant_id].add(customer_id)
        # Numbers are given before a commit, so that those since the repair before are looked at again.
        record = EdgeRecordRow.objects.filter(
            tenant=OuterRef("tenant"), kind=EdgeRecordKind.CUSTOMER, customer=OuterRef("external_id")
        )
        fresh = Customer.objects.filter(~Exists(record), pk__gt=self._customers_since).order_by("pk")
        for tenant_id, customer_id in fresh.values_list("tenant", "pk")[:CHUNK]:
            customers[tenant_id].add(customer_id)
        for tenant in Tenant.objects.filter(pk__in=customers):
            self._customers_write(tenant, customers[tenant.pk])

    def _customers_write(self, tenant: Tenant, customer_ids: Collection[int]) -> int:
        """Make these customers' records anew; returns how many of them say something new."""
        ids = sorted(customer_ids)
        return sum(
            self._chunk_write(tenant, ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)
        )

    def _chunk_write(self, tenant: Tenant, customer_ids: Sequence[int]) -> int:
        """As `_customers_write`; a customer of whom no record can be made keeps the one it has, and holds nobody up."""
        try:
            with transaction.atomic():
                return self._compiled_write(tenant, customer_ids)
        except Exception as error:
            if is_outage(error):
                raise
            if len(customer_ids) == 1:
                _logger.exception("tenant=%s customer=%s cannot be published", tenant, customer_ids[0])
                return 0
        half = len(customer_ids) // 2
        return self._chunk_write(tenant, customer_ids[:half]) + self._chunk_write(tenant, customer_ids[half:])

    def _compiled_write(self, tenant: Tenant, customer_ids: Sequence[int]) -> int:
        at = now()
        customers = list(Customer.objects.of(tenant).filter(pk__in=customer_ids))
        compiled = customer_records(tenant, customers, at)
        names = [customer.external_id for customer in customers]
        published = EdgeRecordRow.objects.of(tenant).filter(kind=EdgeRecordKind.FEATURE, customer__in=names)
        gone = records_removed(published, compiled.records)
        for customer_id, due_at in compiled.due.items():
            heapq.heappush(self._due, (due_at, tenant.pk, customer_id))
        return records_write(tenant=tenant, records=[*compiled.records, *gone], at=at)

    # All of it, anew

    def _walks_start(self, *, is_repair: bool = False) -> None:
        """Make everything anew, tenant after tenant; what time will change is found again on the way."""
        self._due = []
        last = Customer.objects.aggregate(last=Max("pk"))["last"] or 0
        self._customers_since, self._customers_last = self._customers_last or last, last
        self._walks.extend(_Walk(tenant, is_repair=is_repair) for tenant in Tenant.objects.order_by("pk"))

    def _walk_anew(self, tenant_id: int) -> None:
        """All of a tenant, before everybody else's repair."""
        for walk in self._walks:
            if walk.tenant.pk == tenant_id:
                self._walks.remove(walk)
                break
        self._walks.appendleft(_Walk(Tenant.objects.get(pk=tenant_id)))

    def _walk(self) -> None:
        """A turn's piece of what is to be made anew."""
        left = WALKED_MAX
        while self._walks and left > 0:
            walk = self._walks[0]
            ids = list(
                Customer.objects.of(walk.tenant)
                .filter(pk__gt=walk.after)
                .order_by("pk")
                .values_list("pk", flat=True)[:left]
            )
            with transaction.atomic():
                count = self._customers_write(walk.tenant, ids)
                if len(ids) < left:
                    count += self._tenant_write(walk.tenant)
            if len(ids) < left:
                self._walks.popleft()
            else:
                walk.after = ids[-1]
            # A tenant without customers is some work, too.
            left -= len(ids) + 10
            if walk.is_repair and count:
                self._repaired(f"tenant {walk.tenant}", count)
            if not self._walks:
                self._is_walked = True
                self._state_write(repaired_at=now(), repairs=F("repairs") + 1)

    def _tenant_write(self, tenant: Tenant) -> int:
        """The tenant's own record, its keys, and what of it is gone."""
        at = now()
        keys = key_records(ApiKey.objects.of(tenant).select_related("tenant"))
        published = EdgeRecordRow.objects.of(tenant)
        gone = [
            *records_removed(published.filter(kind=EdgeRecordKind.KEY), keys),
            *records_removed(
                published.filter(kind__in=[EdgeRecordKind.CUSTOMER, EdgeRecordKind.FEATURE]).exclude(
                    customer__in=Customer.objects.of(tenant).values("external_id")
                ),
                (),
            ),
        ]
        return records_write(tenant=tenant, records=[tenant_record(tenant), *keys, *gone], at=at)

    # What others see of it

    def _repaired(self, where: str, count: int) -> None:
        _logger.info("%s repaired records=%s", where, count)
        self._state_write(repaired=F("repaired") + count)

    def _state_write(self, **changes: object) -> None:
        PublisherState.objects.get_or_create()
        PublisherState.objects.update(**changes)

    def _is_due(self, name: str, every_s: float) -> bool:
        present_s = time.monotonic()
        if present_s < self._due_s.get(name, 0.0):
            return False
        self._due_s[name] = present_s + every_s
        return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
