"""A tax engine on a port of its own: answers as it is told to, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Engine:
    """answer: what it answers with status, else 10 % of the lines. failures: so many answers of 503 before that.

    sleeps_s: before it answers. asked: the questions; headers: of each.
    """

    url: str = ""
    status: int = 200
    answer: bytes | None = None
    failures: int = 0
    sleeps_s: float = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def reply(self, body: bytes) -> tuple[int, bytes]:
        self.bodies.append(body)
        question = json.loads(body)
        self.asked.append(question)
        time.sleep(self.sleeps_s)
        if self.failures:
            self.failures -= 1
            return 503, b"busy"
        net = sum(Decimal(line["amount"]) for line in question["lines"])
        tax = {"name": "Sales tax", "jurisdiction": "US-NY", "percent": "10"}
        amounts = {"taxable": f"{net:.2f}", "amount": f"{net / 10:.2f}"}
        usual = {"currency": question["currency"], "reference": "tx_1", "taxes": [{**tax, **amounts}]}
        return self.status, json.dumps(usual).encode() if self.answer is None else self.answer


@contextmanager
def tax_engine(**options: Any) -> Iterator[Engine]:
    engine = Engine(**options)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            engine.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, body = engine.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                pass  # whoever asked has hung up

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    engine.url = f"http://127.0.0.1:{server.server_port}/quote"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
