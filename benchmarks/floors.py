"""Floors: the least that a server could do, on the same server, in the same run.

granian … benchmarks.floors:hello      a bare WSGI hello
granian … benchmarks.floors:append     the same fsynced append that ingest makes, and nothing else
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis

Start = Callable[[str, list[tuple[str, str]]], Any]


def hello(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


_client: Any = None


def append(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    global _client
    started = time.perf_counter()
    if _client is None:
        _client = redis.Redis.from_url(os.environ["LOG_REDIS_URL"]).connection_pool.get_connection()
    body = environ["wsgi.input"].read()
    if body:
        _client.send_command("XADD", "aforo:floor", "*", b"s", body)
        _client.read_response()
    taken_ms = (time.perf_counter() - started) * 1000
    start_response("202 Accepted", [("Content-Length", "2"), ("Server-Timing", f"append;dur={taken_ms:.3f}")])
    return [b"ok"]
