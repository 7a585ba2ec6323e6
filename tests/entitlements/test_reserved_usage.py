"""The two calls of an integration: reserve before, meter after; no unit counts twice, and none is lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from aforo.hot import Hot
from entitlements.edge import central, gate
from entitlements.edge.central import PlainCentre
from entitlements.edge.keeper import Keeper
from entitlements.models import Lease
from metering.models import DeadLetter
from metering.writer import Writer
from tests.entitlements.edge import shops
from tests.http.test_hot import connection_kept, sent

__all__ = ["connection_kept"]

pytestmark = pytest.mark.django_db(transaction=True)

CHECK = {"tenantId": "cust_abc", "featureKey": "advanced_ai_search", "reserve": True}
USE = {"tenantId": "cust_abc", "metricKey": "api.call", "quantity": 1}


class Provider:
    """The shop with its site, asked over the hot path or the views."""

    def __init__(self, application: Callable[..., Any], *, has_lease: bool = True) -> None:
        central._store.cache_clear()
        central._keys.cache_clear()
        self.shop = shops.shop()
        self.publisher = shops.published()
        self.store = central.central_store()
        self.keeper = Keeper(self.store, PlainCentre())
        self._application = application
        if has_lease:
            # Its first block: a twentieth of the 450 that are left.
            self.store.wants_add([("acme_corp/live", "cust_abc", "advanced_ai_search")])
            self.keeper.turn()

    def post(
        self, path: str, document: dict[str, Any], **environ: str
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        body = json.dumps(document).encode()
        return sent(self._application, body, path, HTTP_AUTHORIZATION=f"Bearer {self.shop.key}", **environ)

    def remaining(self) -> int:
        return self.post("/v1/canAccess", {**CHECK, "reserve": False})[2]["remaining"]

    def reserved(self, quantity: int = 1) -> str:
        return self.post("/v1/canAccess", {**CHECK, "quantity": quantity})[2]["reservation"]["id"]

    def counted(self) -> None:
        """What the writer and the publisher do within a second."""
        Writer(0).drain()
        self.publisher.turn()


@pytest.fixture(params=["hot", "views"])
def provider(request, redis_empty, transactional_db) -> Provider:
    return Provider(Hot(WSGIHandler()) if request.param == "hot" else WSGIHandler())


@pytest.mark.promise("P93", "P94")
def test_a_reserved_use_counts_once_from_the_reservation_to_the_bill(provider):
    assert provider.remaining() == 450
    reservation = provider.reserved()
    assert provider.remaining() == 449
    status, headers, answer = provider.post("/v1/meter", {**USE, "reservationId": reservation})
    assert (status, headers["Aforo-Reservation"], answer["accepted"]) == (202, "settled", 1)
    assert provider.remaining() == 449
    provider.counted()
    assert provider.remaining() == 449
    lease = Lease.objects.get()
    # 22 units of the 450, of which one is billed usage now.
    assert (lease.granted, lease.settled) == (22, 1)
    assert provider.store.lease_state("acme_corp/live", "cust_abc", "advanced_ai_search").settled == 1


@pytest.mark.promise("P94")
def test_a_use_without_a_reservation_counts_when_it_is_stored(provider):
    assert provider.post("/v1/meter", USE)[0] == 202
    provider.counted()
    assert provider.remaining() == 449


def test_a_retry_counts_once_and_its_reservation_too(provider):
    reservation = provider.reserved()
    use = {**USE, "idempotency_key": "use-1", "reservationId": reservation}
    assert provider.post("/v1/meter", use)[1]["Aforo-Reservation"] == "settled"
    provider.counted()
    status, headers, answer = provider.post("/v1/meter", use)
    assert (status, headers["Aforo-Reservation"], answer["duplicates"]) == (202, "gone", 1)
    provider.counted()
    assert provider.remaining() == 449


def test_a_refused_use_gives_its_reservation_back(provider):
    reservation = provider.reserved(3)
    assert provider.remaining() == 447
    status, _, _ = provider.post(
        "/v1/meter", {**USE, "metricKey": "no.such.metric", "reservationId": reservation}
    )
    assert status == 422
    assert provider.remaining() == 450
    provider.counted()
    assert DeadLetter.objects.count() == 1
    assert provider.remaining() == 450


def test_a_use_that_was_stored_before_gives_its_reservation_back(provider):
    assert provider.post("/v1/meter", {**USE, "idempotency_key": "use-1"})[0] == 202
    provider.counted()
    assert provider.remaining() == 449
    use = {**USE, "idempotency_key": "use-1", "reservationId": provider.reserved()}
    assert provider.post("/v1/meter", use)[2]["duplicates"] == 1
    assert provider.remaining() == 449


@pytest.mark.parametrize("reservation", ["rsv_AAAA", "x", "", "rsv_Ny4xLm4Kc2VhcmNoCmN1c3Q"])
def test_a_made_up_reservation(provider, reservation):
    status, headers, problem = provider.post("/v1/meter", {**USE, "reservationId": reservation})
    if status == 202:
        # Of the form, and nobody's: the use counts without it.
        assert headers["Aforo-Reservation"] == "gone"
    else:
        assert (status, problem["code"]) == (404, "not_found")
    assert provider.post("/v1/meter", {**USE, "reservationId": 7})[0] == 422
    assert provider.post("/v1/meter", [{**USE, "reservationId": "x"}])[0] == 422  # type: ignore[arg-type]


def test_an_event_of_a_batch_names_what_its_gateway_has_settled(provider):
    reservation = provider.reserved(2)
    settled = provider.post(f"/v1/reservations/{reservation}/settle", {})[2]
    event = {
        "customer_id": "cust_abc", "event": "api.call", "idempotency_key": "g-1",
        "reservation_id": settled["event_reservation_id"],
    }  # fmt: skip
    assert provider.post("/v1/events/batch", [event, {**event, "idempotency_key": "g-2"}])[0] == 202  # type: ignore[arg-type]
    provider.counted()
    # Two events name one reservation of two units: it is settled once.
    assert Lease.objects.get().settled == 2
    assert provider.remaining() == 448


def test_the_first_reservation_of_a_window_waits_for_its_lease(redis_empty, transactional_db, monkeypatch):
    # Longer than the tenth of a second that callers are kept, so that a busy machine makes no difference.
    monkeypatch.setattr(gate, "LEASE_WAIT_S", 10.0)
    provider = Provider(Hot(WSGIHandler()), has_lease=False)
    keeper = threading.Thread(target=_kept, args=(provider.keeper,))
    keeper.start()
    try:
        document = provider.post("/v1/canAccess", CHECK)[2]
    finally:
        keeper.join()
    assert (document["allowed"], document["mode"]) == (True, "leased")


def _kept(keeper: Keeper) -> None:
    """What the publisher's thread does: look, until there was something to do."""
    try:
        until_s = time.monotonic() + 5
        while not keeper.turn() and time.monotonic() < until_s:
            time.sleep(0.005)
    finally:
        connections.close_all()
