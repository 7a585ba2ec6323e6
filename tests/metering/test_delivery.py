"""Batches arrive once in effect, whatever happens on the way."""

from __future__ import annotations

import json
import socket
import struct
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aforo.kernel.errors import Problem
from metering.delivery import HttpDelivery, RefusedEvent

EVENTS = [{"idempotency_key": f"k{n}", "quantity": Decimal("0.1")} for n in range(4)]


class Server(ThreadingHTTPServer):
    """An ingest address that misbehaves as told, one word a request, and then accepts.

    received: the bodies that arrived, in order. kept: the keys that a store would hold.
    """

    daemon_threads = True

    def __init__(self, *script: object) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.received: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.kept: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(body)
        self.server.headers.append(dict(self.headers))
        order = self.server.script.pop(0) if self.server.script else "accept"
        events = json.loads(body)
        if order == "reset":
            # Closed with a RST, as by a process that was killed.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if order == "lose the answer":
            self.server.kept |= {event["idempotency_key"] for event in events}
            self.close_connection = True
            return
        if isinstance(order, tuple):
            status, headers = order
            self.answer(status, {"detail": "not now"}, headers)
            return
        if order == "too large":
            self.answer(413, {"detail": "too large"}, {})
            return
        if order == "refuse the second":
            rows = [{"index": 1, "status": "rejected", "code": "metric_unknown", "detail": "No meter."}]
            self.answer(202, {"accepted": len(events) - 1, "duplicates": 0, "events": rows}, {})
            return
        keys = {event["idempotency_key"] for event in events}
        new = keys - self.server.kept
        self.server.kept |= keys
        self.answer(202, {"accepted": len(new), "duplicates": len(keys) - len(new), "events": []}, {})

    def answer(self, status, document, headers):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(*script):
        server = Server(*script)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def delivery(server: Server, **options) -> HttpDelivery:
    return HttpDelivery(url=server.url, key="sk_live_x", tenant_slug="acme_corp", **options)


def test_a_batch_is_posted_with_key_tenant_and_exact_numbers(serve):
    server = serve()
    receipt = delivery(server).send(EVENTS)
    assert (receipt.accepted, receipt.duplicates, receipt.refused, receipt.attempts) == (4, 0, (), 1)
    assert server.headers[0]["Authorization"] == "Bearer sk_live_x"
    assert server.headers[0]["X-Tenant-Id"] == "acme_corp"
    assert server.received[0].startswith(b'[{"idempotency_key":"k0","quantity":0.1}')


@pytest.mark.promise("P22")
@pytest.mark.parametrize("fault", ["reset", "lose the answer", (500, {}), (503, {}), (408, {})])
def test_a_batch_is_sent_again_with_the_same_bytes_until_it_is_answered(serve, fault):
    server = serve(fault, fault)
    receipt = delivery(server).send(EVENTS)
    assert receipt.attempts == 3
    assert len(set(server.received)) == 1
    assert server.kept == {"k0", "k1", "k2", "k3"}
    # Where only the answer was lost, the store already knew.
    assert receipt.duplicates == (4 if fault == "lose the answer" else 0)


def test_the_pause_is_the_servers_where_it_names_one(serve):
    server = serve((429, {"Retry-After": "1"}), (503, {"Retry-After": "soon"}), (503, {}))
    pauses = []
    delivery(server, on_pause=lambda seconds, why: pauses.append((seconds, why))).send(EVENTS)
    # 1 s as asked; then our own, doubling from 0.2 s: second attempt 0.4, third 0.8.
    assert pauses == [(1.0, "429: not now"), (0.4, "503: not now"), (0.8, "503: not now")]


def test_patience_ends_with_a_sentence_that_says_it_is_safe_to_repeat(serve):
    server = serve((503, {"Retry-After": "9"}))
    with pytest.raises(
        Problem, match=r"not taken the batch in 1 s \(503: not now\)\. Repeat the command"
    ) as caught:
        delivery(server, patience_s=1).send(EVENTS)
    assert caught.value.code == "storage_unavailable"


def test_a_refusal_of_the_whole_batch_is_not_tried_again(serve):
    server = serve((401, {}))
    with pytest.raises(Problem, match=r"refuses the batch \(401\): not now"):
        delivery(server).send(EVENTS)
    assert len(server.received) == 1


def test_a_batch_that_is_too_large_is_halved_and_places_are_kept(serve):
    server = serve("too large", "accept", "refuse the second")
    receipt = delivery(server).send(EVENTS)
    assert [len(json.loads(body)) for body in server.received] == [4, 2, 2]
    assert receipt.accepted == 3
    assert receipt.refused == (RefusedEvent(3, "metric_unknown", "No meter."),)


def test_a_server_that_is_no_ingest_address_is_told_apart(serve):
    server = serve()
    server.RequestHandlerClass = type(
        "Other",
        (Handler,),
        {"answer": lambda self, status, document, headers: Handler.answer(self, status, "hi", headers)},
    )
    with pytest.raises(Problem, match="The answer is none of an ingest address"):
        delivery(server).send(EVENTS)
    with pytest.raises(
        Problem, match=r"'localhost:8000' is no address; write it like http://127\.0\.0\.1:8000"
    ):
        HttpDelivery(url="localhost:8000", key="k", tenant_slug="t")
