"""Floors: the least that a server could do, on the same server, in the same run; and ours, with a clock around it.

granian … benchmarks.floors:hello      a bare WSGI hello
granian … benchmarks.floors:append     the same fsynced append that ingest makes (FLOOR_BYTES long), and nothing else
granian … benchmarks.floors:django     the smallest view of the project's own Django
granian … benchmarks.floors:ingest     the project's application

Each says in Server-Timing how long it took, from the application's call to its return.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis

Start = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


def _timed(application: Application) -> Application:
    def answer(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        started = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            taken_ms = (time.perf_counter() - started) * 1000
            return start_response(status, [*headers, ("Server-Timing", f"app;dur={taken_ms:.3f}")], *more)

        return application(environ, start)

    return answer


def _hello(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("202 Accepted", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


_client: Any = None


def _append(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    global _client
    if _client is None:
        _client = redis.Redis.from_url(os.environ["LOG_REDIS_URL"]).connection_pool.get_connection()
    if environ["wsgi.input"].read():
        _client.send_command("XADD", "aforo:floor", "*", b"s", b"x" * int(os.environ["FLOOR_BYTES"]))
        _client.read_response()
    start_response("202 Accepted", [("Content-Length", "2")])
    return [b"ok"]


def _project(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    from aforo.wsgi import application

    return application(environ, start_response)


def _django(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    environ["REQUEST_METHOD"], environ["PATH_INFO"] = "GET", "/health"
    return _project(environ, start_response)


hello, append, django, ingest = map(_timed, (_hello, _append, _django, _project))
