"""The publisher: what changed is compiled into records, and the central site's Redis is brought up to them.

It works in turns, some five a second. A turn compiles the customers that facts tell of, that time has changed, or that are
new; the keys that changed; and a piece of the repair, which makes all records anew every 30 s and so finds what nobody told.
Then it brings the central site from the version it has to the present one, exactly as remote sites bring themselves. One
publisher works, by a lock; others wait. What it keeps in memory is only what is still to be done, and a new one starts with
everything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error as StoreError
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from redis import RedisError

from aforo.kernel.clock import now
from aforo.outbox.services import facts_take
from aforo.tenancy.locks import SessionLock
from aforo.tenancy.models import ApiKey, Customer, Tenant
from aforo.tenancy.selectors.rows import listed
from metering.reading import is_outage

from ..models import EdgeRecordKind, EdgeRecordRow, PublisherState
from ..ports import standing_source
from ..services.touched import TOUCHED, touched
from .central import CentralSite
from .compilation import customer_records, key_records, tenant_record
from .due import Due
from .feed import records_write

# PostgreSQL's advisory locks have two numbers; there is one publisher.
LOCK = 0x6166_6570
STALLED_S = 15

# Each turn asks the store whether anything is new, which takes some 5 ms of processor time from the decisions beside it.
TURN_S = 0.2
PAUSE_S = 0.5
REPAIR_EVERY_S = 30.0
STATE_EVERY_S = 0.5
FACTS_MAX = 500
# Customers of one compilation, which is a fixed number of queries.
CHUNK = 200
# What a turn gives to changes that were told, to those that time makes, and to what is made anew; each is done with the
# compilation that it is at. A change waits for no more than two turns, and the pause between them.
TOLD_S = 0.1
TIMED_S = 0.05
WALK_S = 0.04
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
        self._due = Due()
        self._keys_since: datetime | None = None
        self._customers_since = 0
        self._customers_last = 0
        self._repair_due_s = self._state_due_s = 0.0

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
            self._stop.wait(self._pause_s(time.monotonic() - started_s))
        self._lock.let_go()
        _logger.info("publisher ends")

    def _pause_s(self, took_s: float) -> float:
        """After a turn. No more than half of the time is work: the store has other things to do."""
        if not self._lock.is_held:
            return PAUSE_S
        # A repair that takes its thirty seconds takes no more from the decisions than it must.
        is_late = bool(self._walks) and (
            self._repair_due_s < time.monotonic() or not self._walks[0].is_repair
        )
        return took_s if is_late else max(TURN_S, took_s)

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
        present_s = time.monotonic()
        if self._repair_due_s <= present_s and not self._walks:
            self.repair()
        if self._state_due_s <= present_s:
            self._state_due_s = present_s + STATE_EVERY_S
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

    def customers_compile(self, tenant: Tenant, customers: Sequence[Customer]) -> int:
        """Make their records anew; returns how many of them say something new.

        A customer of whom no record can be made keeps the one it has, and holds nobody up.
        """
        if not customers:
            return 0
        try:
            with transaction.atomic():
                return self._compiled_write(tenant, customers)
        except Exception as error:
            if is_outage(error):
                raise
            if len(customers) == 1:
                _logger.exception("tenant=%s customer=%s cannot be published", tenant, customers[0].pk)
                return 0
        half = len(customers) // 2
        return self.customers_compile(tenant, customers[:half]) + self.customers_compile(
            tenant, customers[half:]
        )

    # What is compiled

    def _facts_publish(self) -> None:
        """Those of whom facts tell. Where they are too many for a turn, the others are told of again."""
        customers: dict[int, set[int]] = defaultdict(set)
        with transaction.atomic():
            facts = facts_take(TOUCHED, FACTS_MAX)
            for fact in facts:
                if fact.body["customer_ids"] is None:
                    self._walk_anew(fact.tenant_id)
                else:
                    customers[fact.tenant_id].update(fact.body["customer_ids"])
            is_over, ends_s = False, time.monotonic() + TOLD_S
            for tenant_id, customer_ids in customers.items():
                tenant, left = Tenant.objects.get(pk=tenant_id), sorted(customer_ids)
                while left and not is_over:
                    self._customers_write(tenant, left[:CHUNK])
                    left = left[CHUNK:]
                    is_over = time.monotonic() >= ends_s
                touched(tenant=tenant, customer_ids=left, since=facts[0].created_at)

    def _keys_publish(self) -> None:
        """The keys that changed, and their tenants, which may be new. What was deleted is found by the repair."""
        since, at = self._keys_since, now()
        if since is not None:
            changed = ApiKey.objects.filter(touched_at__gt=since - KEYS_OVERLAP).select_related("tenant")
            by_tenant: dict[Tenant, list[ApiKey]] = defaultdict(list)
            for key in changed:
                by_tenant[key.tenant].append(key)
            for tenant, keys in by_tenant.items():
                names = [key.public_id for key in keys]
                published = EdgeRecordRow.objects.of(tenant).filter(
                    Q(kind=EdgeRecordKind.TENANT) | Q(kind=EdgeRecordKind.KEY, name__in=names)
                )
                records = [tenant_record(tenant), *key_records(keys)]
                records_write(tenant=tenant, records=records, published=published, at=at)
        self._keys_since = at

    def _customers_publish(self) -> None:
        """Those that are new, and those that time has changed; who is not reached is found by the next turn."""
        # Numbers are given before a commit, so that those since the repair before are looked at again.
        record = EdgeRecordRow.objects.filter(
            tenant=OuterRef("tenant"), kind=EdgeRecordKind.CUSTOMER, customer=OuterRef("external_id")
        )
        fresh = Customer.objects.filter(~Exists(record), pk__gt=self._customers_since).order_by("pk")
        customers: dict[int, list[int]] = defaultdict(list)
        for tenant_id, customer_id in fresh.values_list("tenant", "pk")[:CHUNK]:
            customers[tenant_id].append(customer_id)
        ends_s = time.monotonic() + TIMED_S
        for tenant in Tenant.objects.filter(pk__in=customers):
            if time.monotonic() < ends_s:
                self._customers_write(tenant, customers[tenant.pk])
        at = now()
        while time.monotonic() < ends_s and (due := self._due.take(at, CHUNK)):
            tenant_id, customer_ids = due
            self._customers_write(Tenant.objects.get(pk=tenant_id), customer_ids)

    def _customers_write(self, tenant: Tenant, customer_ids: Sequence[int]) -> None:
        """Make these customers' records anew, up to CHUNK of them."""
        self.customers_compile(tenant, list(_customers(tenant).filter(pk__in=listed(customer_ids))))

    def _compiled_write(self, tenant: Tenant, customers: Sequence[Customer]) -> int:
        at = now()
        compiled = customer_records(tenant, customers, at)
        for customer in customers:
            self._due.put(tenant.pk, customer.pk, compiled.due.get(customer.pk))
        published = EdgeRecordRow.objects.of(tenant).filter(
            kind__in=[EdgeRecordKind.CUSTOMER, EdgeRecordKind.FEATURE],
            customer__in=listed([customer.external_id for customer in customers]),
        )
        return records_write(tenant=tenant, records=compiled.records, published=published, at=at)

    # All of it, anew

    def _walks_start(self, *, is_repair: bool = False) -> None:
        """Make everything anew, tenant after tenant."""
        self._repair_due_s = time.monotonic() + REPAIR_EVERY_S
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
        is_over, ends_s = False, time.monotonic() + WALK_S
        while self._walks and not is_over:
            self._walk_on(self._walks[0])
            is_over = time.monotonic() >= ends_s
            if not self._walks:
                self._is_walked = True
                self._state_write(repaired_at=now(), repairs=F("repairs") + 1)

    def _walk_on(self, walk: _Walk) -> None:
        """One compilation of a tenant that is made anew; with its last customers, what is not of customers."""
        customers = list(_customers(walk.tenant).filter(pk__gt=walk.after).order_by("pk")[:CHUNK])
        is_last = len(customers) < CHUNK
        with transaction.atomic():
            count = self.customers_compile(walk.tenant, customers)
            if is_last:
                count += self._tenant_write(walk.tenant)
        if is_last:
            self._walks.popleft()
        else:
            walk.after = customers[-1].pk
        if walk.is_repair and count:
            self._repaired(f"tenant {walk.tenant}", count)

    def _tenant_write(self, tenant: Tenant) -> int:
        """The tenant's own record and its keys; what there is of customers that are gone."""
        at, published = now(), EdgeRecordRow.objects.of(tenant)
        records = [tenant_record(tenant), *key_records(ApiKey.objects.of(tenant).select_related("tenant"))]
        of_it = published.filter(kind__in=[EdgeRecordKind.TENANT, EdgeRecordKind.KEY])
        customer = Customer.objects.filter(tenant=tenant, external_id=OuterRef("customer"))
        gone = published.filter(~Exists(customer), kind__in=[EdgeRecordKind.CUSTOMER, EdgeRecordKind.FEATURE])
        return records_write(tenant=tenant, records=records, published=of_it, at=at) + records_write(
            tenant=tenant, records=(), published=gone, at=at
        )

    # What others see of it

    def _repaired(self, where: str, count: int) -> None:
        _logger.info("%s repaired records=%s", where, count)
        self._state_write(repaired=F("repaired") + count)

    def _state_write(self, **changes: object) -> None:
        PublisherState.objects.get_or_create()
        PublisherState.objects.update(**changes)


def _customers(tenant: Tenant) -> QuerySet[Customer]:
    """With what records are made of."""
    return Customer.objects.of(tenant).only("tenant", "external_id", "timezone")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
