"""An origin that takes events as it is told to, and events for it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from entitlements.edge.dead import DeadEvent, DeadEvents
from entitlements.edge.sending import Origin as Events

Answer = tuple[int, str | None, bytes]


class Origin:
    """script: what is answered to the next calls in place of taking, None for taking; an exception is raised. unreadable: keys
    of events that spoil a batch, and the status that says so. taken: keys, in order. bodies: as they came. attempts: of
    each call, as its header says.
    """

    def __init__(
        self, *script: Answer | Exception | None, unreadable: Mapping[str, int] | None = None
    ) -> None:
        self.script = list(script)
        self.unreadable = dict(unreadable or {})
        self.taken: list[str] = []
        self.bodies: list[bytes] = []
        self.attempts: list[int] = []

    def events_send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.attempts.append(int(headers["X-Aforo-Attempt"]))
        self.bodies.append(gzip.decompress(body))
        answer = self.script.pop(0) if self.script else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        keys = [event["idempotency_key"] for event in json.loads(self.bodies[-1])]
        for key in keys:
            if key in self.unreadable:
                return self.unreadable[key], None, problem(f"{key} cannot be read.")
        self.taken += keys
        return 202, None, json.dumps({"accepted": len(keys), "rejected": 0}).encode()


def problem(detail: str) -> bytes:
    return json.dumps({"detail": detail}).encode()


def event(key: str, **more: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"idempotency_key": key, "metric": "api.call", **more}))


def events(count: int) -> list[msgspec.Raw]:
    return [event(f"k{number}") for number in range(count)]


def set_aside(spool: Path, day: str, keys: Iterable[str], **more: Any) -> DeadEvents:
    """Events that an origin found too large on that day."""
    dead = DeadEvents(spool)
    dead.folder.mkdir(exist_ok=True)
    lines = [
        DeadEvent(f"{day}T00:00:00Z", 413, problem("Too large.").decode(), event(key, **more)) for key in keys
    ]
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    (dead.folder / f"{day}.ndjson").write_bytes(content)
    return dead


@contextmanager
def served(origin: Events) -> Iterator[str]:
    """The address at which it answers over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, retry_after, answer = origin.events_send(body, self.headers)
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
