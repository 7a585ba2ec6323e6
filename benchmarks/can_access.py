"""can_access: one decision a request, beside a bare hello on the same server, and one script beside one raw GET."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.conf import settings

from . import load
from .load import percentile
from .stack import Stack

CUSTOMERS = 200
FEATURE = "advanced_ai_search"
QUOTA = 1_000
# Of the requests; nobody has heard of their customers, and no other server may be asked for them either.
UNKNOWN_PERCENT = 5
SATURATION_S = 5.0
# The kernel gives each connection to one of two processes by chance: of 16 it is 11 to 5 every fifth time.
CONNECTIONS = 32
ROUNDS, ROUND_S = 4, 4.0
SCRIPT_CALLS = 5_000
PUBLISHED_S = 60.0
PERCENTS = (50, 75, 90, 95, 99, 99.9)


def measure(stack: Stack) -> dict[str, Any]:
    """At half of the rate that saturates the server; the floors at the same rate, in turns with it.

    p50_ms …: as the caller sees it, from the time a request was due. server_…: from the application's call to its
    return. script_us: a decision by the site's client. get_us, empty_us: on the same socket, in turns with it, a raw GET
    and an EVALSHA of a script that does nothing.
    """
    requests = _requests(_tenant_key())
    ports = {name: stack.serve(name, f"benchmarks.floors:{name}") for name in ("ingest", "hello", "django")}
    _published(ports["ingest"], requests[0])
    saturation = load.answered(
        ports["ingest"], requests, seconds=SATURATION_S, connections=CONNECTIONS
    ).rate_per_s
    # In turns, so that what else the machine does meets all three alike.
    rounds = [
        {
            name: load.answered(
                port, requests, seconds=ROUND_S, rate_per_s=saturation / 2, connections=CONNECTIONS
            )
            for name, port in ports.items()
        }
        for _ in range(ROUNDS)
    ]
    ours, hello, django = (load.together([one[name] for one in rounds]) for name in ports)
    script_us, get_us, empty_us = _script_us()
    return {
        "p50_ms": round(ours.percentile_ms(50), 3),
        "p95_ms": round(ours.percentile_ms(95), 3),
        "p99_ms": round(ours.percentile_ms(99), 3),
        "server_p50_ms": percentile(ours.server_ms, 50),
        "server_p99_ms": percentile(ours.server_ms, 99),
        "rate_per_s": round(ours.rate_per_s),
        "saturation_per_s": round(saturation),
        "floor_p50_ms": round(hello.percentile_ms(50), 3),
        "floor_p99_ms": round(hello.percentile_ms(99), 3),
        "ratio_p50": round(ours.percentile_ms(50) / hello.percentile_ms(50), 2),
        "django_p50_ms": round(django.percentile_ms(50), 3),
        "script_us": round(script_us),
        "get_us": round(get_us),
        "empty_us": round(empty_us),
        "ratio_script": round(script_us / get_us, 2),
        "unknown_percent": UNKNOWN_PERCENT,
        "percents": list(PERCENTS),
        "ours_ms": [round(ours.percentile_ms(percent), 3) for percent in PERCENTS],
        "hello_ms": [round(hello.percentile_ms(percent), 3) for percent in PERCENTS],
    }


def _requests(key: str) -> list[bytes]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    unknown = CUSTOMERS * UNKNOWN_PERCENT // (100 - UNKNOWN_PERCENT)
    names = [_customer(number) for number in range(CUSTOMERS)] + [f"nobody_{at}" for at in range(unknown)]
    bodies = [json.dumps({"tenantId": name, "featureKey": FEATURE}).encode() for name in names]
    return [load.post("/v1/canAccess", body, headers) for body in bodies]


def _customer(number: int) -> str:
    return f"cust_{number:03}"


def _published(port: int, request: bytes) -> None:
    """Wait until the publisher has told the site; a second more, after which no process trusts what it saw before."""
    end = time.monotonic() + PUBLISHED_S
    enforced = request.replace(b"/v1/canAccess ", b"/v1/canAccess?enforce=true ", 1)
    while not (_site().meta().is_complete and load.once(port, enforced) == 200):
        if time.monotonic() > end:
            raise TimeoutError(f"the publisher has not filled the site after {PUBLISHED_S:.0f} s")
        time.sleep(0.1)
    time.sleep(2.0)


def _script_us() -> tuple[float, float, float]:
    """Medians of a decision, a GET of as many bytes as a customer's record has, and an empty script, taken in turns."""
    from hiredis import pack_command

    from aforo.kernel.clock import now
    from entitlements.decision import Ask

    site = _site()
    site.redis.set("aforo:floor", b"x" * 200)
    sha = site.redis.script_load("return 1")
    ask = Ask(quantity=1, now_ms=int(now().timestamp() * 1000))

    def decided(number: int) -> None:
        site.decide("bench/live", _customer(number % CUSTOMERS), FEATURE, ask)

    def answered(*command: str | int) -> None:
        connection = site.line.connection()
        connection.send_packed_command([pack_command(command)])
        connection.read_response()

    calls: tuple[Callable[[int], None], ...] = (
        decided,
        lambda number: answered("GET", "aforo:floor"),
        lambda number: answered("EVALSHA", sha, 0),
    )
    taken_s: tuple[list[float], ...] = ([], [], [])
    for number in range(SCRIPT_CALLS):
        for call, each_s in zip(calls, taken_s, strict=True):
            started = time.perf_counter()
            call(number)
            each_s.append(time.perf_counter() - started)
    site.redis.delete("aforo:floor")
    script_us, get_us, empty_us = (percentile(sorted(each_s), 50) * 1e6 for each_s in taken_s)
    return script_us, get_us, empty_us


def _site() -> Any:
    from entitlements.edge.store import EdgeStore

    return EdgeStore(settings.REDIS_URL)


def _tenant_key() -> str:
    """A tenant whose customers have a hard quota each; its key, without a rate limit."""
    from aforo.tenancy.services.api_keys import api_key_create
    from aforo.tenancy.services.customers import customer_create
    from aforo.tenancy.services.tenants import tenant_create
    from entitlements.services.entitlements import entitlement_create
    from entitlements.services.features import feature_create
    from metering.services.meters import meter_create

    tenant = tenant_create(slug="bench", name="Bench")
    meter_create(tenant=tenant, key="api.call", aggregation="COUNT")
    feature_create(
        tenant=tenant, actor="bench", code=FEATURE, name="Search", kind="METERED", meter="api.call"
    )
    for number in range(CUSTOMERS):
        customer_create(tenant=tenant, external_id=_customer(number))
        entitlement_create(
            tenant=tenant,
            actor="bench",
            feature=FEATURE,
            layer="CUSTOMER",
            owner=_customer(number),
            limit=Decimal(QUOTA),
        )
    return api_key_create(tenant=tenant, name="bench")[1]
