"""64 reservers over three sites and a hard quota of 1,000: real servers, the third over HTTP; one killed, one cut off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import Error as StoreError
from django.db import connections
from redis import RedisError

from aforo.kernel.clock import now
from aforo.runtime.process import port_pick
from aforo.runtime.valkey import EmbeddedValkey
from aforo.tenancy.services.api_keys import api_key_create
from billing.services.standings import standings_write
from entitlements.decision import Ask
from entitlements.edge.central import PlainCentre
from entitlements.edge.centre import Centre
from entitlements.edge.compilation import customer_records, tenant_record
from entitlements.edge.keeper import Keeper
from entitlements.edge.store import EdgeStore
from entitlements.models import Lease
from entitlements.records import milliseconds
from entitlements.selectors.leases import lease_record
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from tests import catalogs, workspaces
from tests.faults.programs import web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TENANT, CUSTOMER, FEATURE = "acme_corp/live", "cust_abc", "search"
QUOTA, RESERVERS = 1_000, 64
# What recalled units need to move from one site to another, over and over.
QUIET_S = 3.0


class Cut:
    """The way to the centre, until it is cut."""

    def __init__(self, centre) -> None:
        self._centre = centre
        self.is_cut = False

    def renew(self, *args):
        if self.is_cut:
            raise OSError("cut off")
        return self._centre.renew(*args)


class Site:
    """A Redis of its own, with its keeper in a thread."""

    def __init__(self, name: str, folder: Path, centre) -> None:
        self.server = EmbeddedValkey(folder / name, port_pick(), "cache")
        self.server.start()
        self.store = EdgeStore(self.server.url, edge=name, timeout_s=5.0)
        self.way = Cut(centre)
        self.stop = threading.Event()
        self.admitted = 0
        self.keeper = threading.Thread(target=self._keep, daemon=True)

    def _keep(self) -> None:
        try:
            Keeper(self.store, self.way).run(self.stop, outage=(OSError, StoreError))
        finally:
            connections.close_all()

    def end(self) -> None:
        self.stop.set()
        self.keeper.join()
        self.server.stop()


@contextmanager
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Three of them, of a customer with a hard quota of 1,000 that has used nothing; the third speaks HTTP."""
    shop = workspaces.workspace()
    catalogs.on_sale(shop.tenant)
    catalogs.subscribed(shop.tenant)
    standings_write(tenant=shop.tenant, customer_ids=[shop.customer.pk])
    feature_create(
        tenant=shop.tenant, actor="ada", code=FEATURE, name="Search", kind="METERED", meter="api.call"
    )
    entitlement_create(
        tenant=shop.tenant, actor="ada", feature=FEATURE, layer="PLAN", owner="standard", limit=Decimal(QUOTA)
    )
    _, key = api_key_create(tenant=shop.tenant, name="edge", scopes=["edge"])
    records = [tenant_record(shop.tenant), *customer_records(shop.tenant, [shop.customer], now()).records]
    with ExitStack() as stack:
        url = stack.enter_context(web()).url
        made = []
        for name, centre in (
            ("paris", PlainCentre()),
            ("berlin", PlainCentre()),
            ("delhi", Centre(url, key)),
        ):
            site = Site(name, tmp_path, centre)
            stack.callback(site.end)
            epoch = site.store.epoch_ensure()
            site.store.apply(records)
            assert site.store.synced(epoch=epoch, at_ms=milliseconds(now()), is_complete=True)
            site.keeper.start()
            made.append(site)
        yield made


def race(made: list[Site], *, meanwhile=lambda admitted: None) -> Counter[str]:
    """Each reserver takes one unit after the other at its site until nobody has got any for a while."""
    admitted: Counter[str] = Counter()
    lock = threading.Lock()
    last_s = [time.monotonic()]

    def reserve(number: int) -> None:
        site = made[number % len(made)]
        while time.monotonic() < last_s[0] + QUIET_S:
            try:
                ask = Ask(1, milliseconds(now()), is_reserving=True, ttl_ms=3_600_000)
                is_allowed = site.store.decide(TENANT, CUSTOMER, FEATURE, ask).decision.is_allowed
            except (RedisError, OSError):
                return
            if is_allowed:
                with lock:
                    admitted[site.store.edge] += 1
                    last_s[0] = time.monotonic()
                    meanwhile(admitted)
            else:
                # What is recalled reaches a site by its records; here by hand, as the publisher would.
                recalled(made)
                time.sleep(0.02)

    with ThreadPoolExecutor(RESERVERS) as pool:
        list(pool.map(reserve, range(RESERVERS)))
    return admitted


_recalling = threading.Lock()


def recalled(made: list[Site]) -> None:
    """Tell the sites which of their leases are recalled."""
    if not _recalling.acquire(blocking=False):
        return
    try:
        for lease in Lease.objects.filter(is_recalled=True).select_related("pool"):
            site = next(one for one in made if one.store.edge == lease.edge)
            start = milliseconds(lease.pool.window_start)
            try:
                if not site.way.is_cut:
                    site.store.lease_apply(TENANT, CUSTOMER, FEATURE, start, lease_record(lease))
                    site.store.wants_add([(TENANT, CUSTOMER, FEATURE)])
            except RedisError:
                continue
    finally:
        connections.close_all()
        _recalling.release()


@pytest.mark.promise("P39")
def test_without_faults_exactly_the_quota_is_admitted(tmp_path):
    with sites(tmp_path) as made:
        admitted = race(made)
    print(f"admitted {dict(admitted)}")
    assert sum(admitted.values()) == QUOTA
    # Each of them had a part.
    assert len(admitted) == 3


@pytest.mark.promise("P86")
def test_with_one_site_killed_and_one_cut_off_never_more_and_only_the_lost_lease_less(tmp_path):
    with sites(tmp_path) as made:
        killed, cut, _ = made
        lock = threading.Lock()
        done: list[str] = []

        def fault(admitted: Counter[str]) -> None:
            with lock:
                if sum(admitted.values()) > 300 and not done:
                    done.append("both")
                    cut.way.is_cut = True
                    killed.way.is_cut = True
                    os.kill(killed.server.pid, signal.SIGKILL)

        admitted = race(made, meanwhile=fault)
        leases = {lease.edge: lease for lease in Lease.objects.all()}
    assert done
    lost = sum(leases[site.store.edge].granted - leases[site.store.edge].returned for site in (killed, cut))
    unused = lost - admitted["paris"] - admitted["berlin"]
    print(f"admitted {dict(admitted)}, lost with the two sites {unused}")
    assert QUOTA - unused <= sum(admitted.values()) <= QUOTA
