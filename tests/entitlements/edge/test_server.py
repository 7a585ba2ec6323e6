"""The agent's own HTTP, as a server hands it requests: rates, reservations and events, on its Redis and its disk alone."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec
import pytest

from aforo.kernel.clock import now
from aforo.tenancy.services.api_keys import secret_hash
from entitlements.edge.agent import STATE
from entitlements.edge.server import Server
from entitlements.edge.server_settings import ServerSettings
from entitlements.edge.store import EdgeStore
from entitlements.records import KeyRecord, LeaseRecord, TenantRecord, milliseconds
from metering.intake.timestamp import instant_of
from metering.spool import spool_drain
from tests.entitlements.test_decision import CUSTOMER, FEATURE
from tests.http.test_hot import sent

TENANT = "acme_corp/live"
CHECK = {"tenantId": "cust_abc", "featureKey": "advanced_ai_search"}
USE = {"tenantId": "cust_abc", "metricKey": "api.call"}
EVENT = {"customer_id": "cust_abc", "metric": "api.call"}


class Site:
    """A filled site, and the agent's server before it. Its lease has 100 units; key a is without a limit, b may ask twice a second."""

    def __init__(self, spool, *, spool_bytes_max: int = 10**6) -> None:
        self.spool = spool
        self.store = EdgeStore(os.environ["REDIS_URL"], edge="berlin")
        self.server = Server(ServerSettings("berlin", os.environ["REDIS_URL"], spool, spool_bytes_max))
        epoch, now_ms = self.store.epoch_ensure(), milliseconds(now())
        lease = LeaseRecord(lease=7, edge="berlin", epoch=epoch, granted=100, settled=0)
        feature = {"window_start_ms": now_ms - 1_000, "window_end_ms": now_ms + 10**7, "leases": (lease,)}
        self.store.apply(
            [
                TenantRecord(tenant=TENANT, version=1, features={"advanced_ai_search": "metered"}),
                CUSTOMER,
                msgspec.structs.replace(FEATURE, **feature),
                self.key("a"),
                self.key("b", rate_limit_per_s=2),
            ]
        )
        assert self.store.synced(epoch=epoch, at_ms=now_ms, is_complete=True)

    @staticmethod
    def key(letter: str, rate_limit_per_s: int | None = None) -> KeyRecord:
        return KeyRecord(
            public_id=letter * 8,
            version=1,
            secret_hash=secret_hash(letter * 32),
            tenant=TENANT,
            key_id=f"key-{letter}",
            scopes=("ingest",),
            rate_limit_per_s=rate_limit_per_s,
        )

    def post(
        self, path: str, document: Any, key: str = "a", **environ: str
    ) -> tuple[int, dict[str, str], Any]:
        authorization = f"Bearer sk_live_{key * 8}{key * 32}"
        body = json.dumps(document).encode()
        return sent(self.server, body, path, HTTP_AUTHORIZATION=authorization, **environ)

    def spooled(self) -> list[dict[str, Any]]:
        """The events on the disk; they are gone then."""
        found: list[dict[str, Any]] = []
        spool_drain(
            self.spool, lambda entries: found.extend(one for entry in entries for one in json.loads(entry))
        )
        return found

    def metrics(self) -> str:
        said: list[Any] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
        content = self.server(environ, lambda status, headers: said.append(status))
        assert said == ["200 OK"]
        return b"".join(content).decode()


@pytest.fixture
def site(tmp_path, redis_empty):
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("path", "document"), [("/v1/canAccess", CHECK), ("/v1/events", EVENT), ("/v1/meter", USE)]
)
def test_a_key_has_its_rate_at_the_site(site, path, document):
    # Twice a second, and a burst of two seconds' worth: four pass at once.
    answers = [site.post(path, document, "b") for _ in range(5)]
    assert [status for status, _, _ in answers] == [200 if path == "/v1/canAccess" else 202] * 4 + [429]
    assert [headers.get("RateLimit-Remaining") for _, headers, _ in answers] == ["3", "2", "1", "0", None]
    assert {headers["RateLimit-Limit"] for _, headers, _ in answers[:4]} == {"2"}
    _, headers, problem = answers[4]
    assert (problem["code"], problem["limit_per_s"], headers["Retry-After"]) == ("rate_limited", 2, "1")
    # Another key is not concerned, and one without a limit has no such headers.
    status, headers, _ = site.post(path, document, "a")
    assert status < 300
    assert "RateLimit-Limit" not in headers


def test_what_is_left_of_the_rate_is_told_of_a_refusal_too(site):
    status, headers, problem = site.post("/v1/canAccess", {"tenantId": "cust_abc"}, "b")
    assert (status, problem["code"], headers["RateLimit-Remaining"]) == (422, "input_invalid", "3")


def reserved(site: Site) -> tuple[str, int]:
    """A reservation of 4 units, and how many count as used then."""
    answer = site.post("/v1/canAccess", {**CHECK, "quantity": 4, "reserve": True})[2]
    return answer["reservation"]["id"], answer["used"]


def used(site: Site) -> int:
    return site.post("/v1/canAccess", CHECK)[2]["used"]


def test_a_use_takes_its_reservation_and_its_own_properties_along(site):
    reservation, count = reserved(site)
    status, headers, _ = site.post(
        "/v1/meter", {**USE, "quantity": 4, "metadata": {"model": "gpt-4o"}, "reservationId": reservation}
    )
    assert (status, headers["Aforo-Reservation"], headers["Aforo-Durability"]) == (202, "settled", "spool")
    (event,) = site.spooled()
    assert (event["metadata"], event["reservation_id"][:4]) == ({"model": "gpt-4o"}, "7.4.")
    assert "properties" not in event
    # Used until it is in the bill.
    assert used(site) == count


def test_a_full_disk_gives_the_reservation_back(site, tmp_path):
    full = Site(tmp_path / "full", spool_bytes_max=10)
    reservation, count = reserved(full)
    status, headers, problem = full.post("/v1/meter", {**USE, "reservationId": reservation})
    assert (status, problem["code"], headers["Retry-After"]) == (503, "storage_unavailable", "2")
    assert used(full) == count - 4


def test_a_key_in_a_header_is_read_as_utf8_as_the_origin_does(site):
    # Servers hand the bytes of a header over as Latin-1.
    header = "cafe-é".encode().decode("latin-1")
    status, _, document = site.post("/v1/events", EVENT, HTTP_IDEMPOTENCY_KEY=header)
    assert (status, document["events"][0]["idempotency_key"]) == (202, "cafe-é")
    assert [event["idempotency_key"] for event in site.spooled()] == ["cafe-é"]


def test_a_text_that_no_disk_keeps_is_refused_with_its_reservation_untouched(site):
    reservation, count = reserved(site)
    use = {**USE, "reservationId": reservation, "properties": {"name": "\ud800"}}
    status, _, problem = site.post("/v1/meter", use)
    assert (status, problem["code"], list(problem["errors"])) == (422, "field_invalid", ["event"])
    # It can be settled still.
    assert site.post("/v1/meter", {**USE, "reservationId": reservation})[1]["Aforo-Reservation"] == "settled"
    assert used(site) == count


def test_a_cloud_event_in_headers_is_one(site):
    attributes = {"HTTP_CE_SPECVERSION": "1.0", "HTTP_CE_ID": "e1", "HTTP_CE_TYPE": "api.call"}
    status, _, _ = site.post("/v1/events", {"quantity": 2}, HTTP_CE_SUBJECT="cust_abc", **attributes)
    assert status == 202
    (event,) = site.spooled()
    assert (event["id"], event["type"], event["subject"]) == ("e1", "api.call", "cust_abc")
    # When it was taken, under the name of its own shape: it may lie here for hours.
    assert instant_of(event["time"]) <= now()
    assert "timestamp" not in event


def test_metrics_say_that_the_origin_refuses_the_agent_and_what_was_set_aside(site):
    (site.spool / "dead").mkdir()
    (site.spool / "dead" / "2026-03-01.ndjson").write_bytes(b"x" * 40)
    site.store.redis.hset(STATE, mapping={"sent": 7, "refused_status": 403})
    lines = site.metrics().splitlines()
    for line in (
        "aforo_edge_events_sent 7.0",
        "aforo_edge_events_refused_status 403.0",
        "aforo_edge_dead_bytes 40.0",
    ):
        assert line in lines
