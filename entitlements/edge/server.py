"""The agent's own HTTP: decisions and events for gateways and SDKs of one site, answered from its Redis and its disk alone.

    POST   /v1/canAccess, /v1/canAccess/batch            as the origin answers them
    POST   /v1/reservations/{id}/settle                  DELETE /v1/reservations/{id}
    GET    /v1/edge/entitlements/{customer}/{feature}    for gateways that cannot read Redis
    POST   /v1/events and its aliases, /v1/meter         202 once on this disk; sent on by the forwarder
    GET    /health, /metrics

granian serves it by wsgi.py, as it serves the origin's. What it needs stands in its environment (server_settings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any
from urllib.parse import unquote

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from redis import RedisError

from aforo.http.authentication import scope_demand
from aforo.http.bodies import DOCUMENT_BYTES_MAX, body_read
from aforo.http.problems import MEDIA_TYPE, headers_of, problem_of
from aforo.http.rate_limit import RateLimit
from aforo.http.rendering import json_bytes
from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from metering.api.ingest import cloud_event_headers, header_text
from metering.decoding import BODY_BYTES_MAX
from metering.event import RESERVATION, Door
from metering.spool import Spool, SpoolFull, spool_bytes

from ..records import milliseconds
from .agent import STATE
from .dead import DeadEvents
from .forwarding import entry_pack, events_read, key_of
from .gate import Gate, Reply
from .keys import EdgeHolder, EdgeKeys
from .server_settings import ServerSettings
from .store import EdgeStore

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]
# Status and body; headers are added to those given as they become known.
Answer = tuple[int, Any]

EVENT_DOORS: dict[str, Door] = {
    "/v1/events": "events",
    "/v1/events/batch": "events",
    "/v1/ingest": "events",
    "/v1/ingest/batch": "events",
    "/v1/ingest/events": "events",
    "/v1/ingest/events/batch": "events",
    "/v1/ingest/compound": "compound",
    "/v1/meter": "meter",
}
SCOPE = "ingest"
RETRY_AFTER_S = 2


class Server:
    """The application of one site."""

    def __init__(self, settings: ServerSettings) -> None:
        self._edge = settings.edge
        self._spool_folder = settings.spool
        self._spool = Spool(settings.spool, bytes_max=settings.spool_bytes_max)
        self._store = EdgeStore(settings.redis_url, edge=settings.edge)
        self._gate = Gate(self._store)
        self._keys = EdgeKeys(self._store)
        self._rate_limit = RateLimit(settings.redis_url)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        headers: dict[str, str] = {"Content-Type": "application/json"}
        try:
            status, document = self._answer(environ, headers)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            status, document = problem.status, problem.document()
            headers |= {**headers_of(problem), "Content-Type": MEDIA_TYPE}
        content = document if isinstance(document, bytes) else json_bytes(document)
        headers["Content-Length"] = str(len(content))
        start_response(f"{status} {responses[status]}", list(headers.items()))
        return [content]

    def _answer(self, environ: Environ, headers: dict[str, str]) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/health" and method == "GET":
            return self._health()
        if path == "/metrics" and method == "GET":
            headers["Content-Type"] = CONTENT_TYPE_LATEST
            return 200, self._metrics()
        if path in EVENT_DOORS and method == "POST":
            holder = self._holder(environ, headers)
            return self._events(environ, headers, holder, EVENT_DOORS[path])
        if path.startswith("/v1/"):
            reply = self._decision(environ, self._holder(environ, headers).tenant, method, path)
            headers |= reply.headers
            return 200, reply.document
        raise Problem("not_found", f"There is nothing at {method} {path}.")

    def _decision(self, environ: Environ, tenant: str, method: str, path: str) -> Reply:
        parts = [unquote(part) for part in path.removeprefix("/v1/").split("/")]
        match (method, *parts):
            case ("POST", "canAccess"):
                is_enforced = "enforce=true" in environ.get("QUERY_STRING", "").split("&")
                return self._gate.can_access(tenant, _document(environ), is_enforced=is_enforced)
            case ("POST", "canAccess", "batch"):
                return self._gate.can_access_batch(tenant, _document(environ))
            case ("DELETE", "reservations", reservation):
                return self._gate.release(tenant, reservation)
            case ("POST", "reservations", reservation, "settle"):
                return self._gate.settled(tenant, reservation)
            case ("GET", "edge", "entitlements", customer, feature):
                return self._gate.snapshot(tenant, customer, feature)
        raise Problem("not_found", f"There is nothing at {method} {path}.")

    def _events(self, environ: Environ, headers: dict[str, str], holder: EdgeHolder, door: Door) -> Answer:
        """Keep events on this disk; what the origin thinks of them is told by the origin."""
        body = body_read(environ, bytes_max=BODY_BYTES_MAX)
        if not body.is_whole:
            raise Problem("body_too_large", f"The body has {body.length:,} bytes.", bytes_max=BODY_BYTES_MAX)
        events = events_read(
            body.content,
            edge=self._edge,
            door=door,
            content_type=environ.get("CONTENT_TYPE") or None,
            content_encoding=environ.get("HTTP_CONTENT_ENCODING"),
            key=header_text(environ.get("HTTP_IDEMPOTENCY_KEY")),
            source=environ.get("HTTP_X_AFORO_SOURCE"),
            attributes=tuple(sorted(cloud_event_headers(environ).items())),
        )
        reservation = None
        if door == "meter" and isinstance(events[0], dict) and "reservationId" in events[0]:
            reservation = str(events[0].pop("reservationId"))
            settled = self._gate.settle(holder.tenant, reservation)
            headers["Aforo-Reservation"] = "gone" if settled is None else "settled"
            if settled is not None:
                # Among its properties, whatever it calls them.
                events[0][RESERVATION] = settled
        try:
            self._spool.append(entry_pack(events))
        except SpoolFull as error:
            if headers.get("Aforo-Reservation") == "settled":
                self._gate.unsettle(holder.tenant, reservation)
            raise Problem("storage_unavailable", f"{error}", retry_after_s=RETRY_AFTER_S) from error
        headers["Aforo-Durability"] = "spool"
        rows = [
            {"index": index, "idempotency_key": key_of(event), "status": "accepted"}
            for index, event in enumerate(events)
        ]
        document = {
            "accepted": len(events),
            "duplicates": 0,
            "rejected": 0,
            "failed": 0,
            "events": rows if len(rows) == 1 else [],
        }
        return 202, document

    def _holder(self, environ: Environ, headers: dict[str, str]) -> EdgeHolder:
        """Who a call acts for; what is left of the key's rate at this site goes into the headers.

        Raises Problem as the origin does, and storage_unavailable where the site's Redis cannot be asked.
        """
        try:
            holder = self._keys.holder(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_TENANT_ID"))
            is_complete = holder is not None or self._store.meta().is_complete
        except RedisError as error:
            raise Problem(
                "storage_unavailable", "The site's Redis cannot be asked now.", retry_after_s=RETRY_AFTER_S
            ) from error
        if holder is None and not is_complete:
            raise Problem("storage_unavailable", "The site is not filled yet.", retry_after_s=RETRY_AFTER_S)
        if holder is None:
            raise Problem("key_unknown", "The API key is not known here.")
        scope_demand(holder, SCOPE)
        if holder.rate_limit_per_s is not None:
            allowance = self._rate_limit.take(holder.key_id, limit_per_s=holder.rate_limit_per_s)
            headers |= {} if allowance is None else allowance.headers()
        return holder

    def _health(self) -> Answer:
        """200 while decisions can be made by records of the site; 503 where there are none."""
        try:
            meta = self._store.meta()
        except RedisError as error:
            return 503, {"status": "down", "redis": str(error)}
        age_s = None if meta.synced_at_ms is None else (milliseconds(now()) - meta.synced_at_ms) / 1000
        document = {
            "status": "ok" if meta.is_complete else "filling",
            "complete": meta.is_complete,
            "age_s": age_s,
            "spool_bytes": spool_bytes(self._spool_folder),
        }
        return (200 if meta.is_complete else 503), document

    def _metrics(self) -> bytes:
        registry = CollectorRegistry()

        def gauge(name: str, what: str, value: float) -> None:
            Gauge(f"aforo_edge_{name}", what, registry=registry).set(value)

        gauge("spool_bytes", "Bytes of events that wait for the origin", spool_bytes(self._spool_folder))
        dead_bytes = DeadEvents(self._spool_folder).size_bytes()
        gauge("dead_bytes", "Bytes of events set aside here, for manage.py edge_dead", dead_bytes)
        try:
            meta, told = self._store.meta(), self._store.redis.hgetall(STATE)
        except RedisError:
            gauge("redis_up", "1 where the site's Redis answers", 0)
            return generate_latest(registry)
        gauge("redis_up", "1 where the site's Redis answers", 1)
        gauge("complete", "1 where the site has every record", int(meta.is_complete))
        if meta.synced_at_ms is not None:
            gauge(
                "age_seconds",
                "Since the origin was last heard",
                (milliseconds(now()) - meta.synced_at_ms) / 1000,
            )
        gauge("cursor", "Version up to which the site has every record", meta.cursor)
        for name, what in (
            ("sent", "Events that the origin has taken"),
            ("refused", "Of them, those that are dead letters there"),
            ("dead", "Events that the origin could not read, set aside here"),
            ("tries_failed", "Tries to send that failed"),
            ("refused_status", "Status by which the origin refuses this agent; 0 where it takes its events"),
        ):
            gauge(f"events_{name}", what, float(told.get(name.encode(), 0)))
        return generate_latest(registry)


def _document(environ: Environ) -> bytes:
    body = body_read(environ, bytes_max=DOCUMENT_BYTES_MAX)
    if not body.is_whole:
        raise Problem("body_too_large", f"The body has {body.length:,} bytes.", bytes_max=DOCUMENT_BYTES_MAX)
    return body.content
