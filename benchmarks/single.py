"""ingest_single: one event a request, answered once it is fsynced, beside a function that only makes the same append."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from . import load
from .disk import fdatasync_ms
from .load import percentile
from .stack import Stack

SATURATION_S = 5.0
HALF_LOAD_S = 20.0
BODY = b'{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}'
PERCENTS = (50, 75, 90, 95, 99, 99.9)


def measure(stack: Stack) -> dict[str, Any]:
    """At half of the rate that saturates the server; floors at the same rate, so that all wait for the same disk.

    p50_ms …: in the server, from the application's call to its return. client_…: as the caller sees it, from the time
    a request was due.
    """
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {_tenant_key()}"}
    request = load.post("/v1/events", BODY, headers)
    web = stack.serve("ingest", "benchmarks.floors:ingest")
    saturation = load.answered(web, [request], seconds=SATURATION_S).rate_per_s
    before = fdatasync_ms(stack.home)
    ours = load.answered(web, [request], seconds=HALF_LOAD_S, rate_per_s=saturation / 2)
    after = fdatasync_ms(stack.home)
    stack.end("ingest")
    stack.environment["FLOOR_BYTES"] = str(_entry_bytes())
    floors = {}
    for name in ("append", "django", "hello"):
        port = stack.serve(name, f"benchmarks.floors:{name}")
        floors[name] = load.answered(
            port, [load.post("/", BODY, {})], seconds=HALF_LOAD_S / 2, rate_per_s=saturation / 2
        )
        stack.end(name)
    floor = floors["append"]
    return {
        "p50_ms": _server(ours, 50),
        "p95_ms": _server(ours, 95),
        "p99_ms": _server(ours, 99),
        "client_p50_ms": round(ours.percentile_ms(50), 3),
        "client_p95_ms": round(ours.percentile_ms(95), 3),
        "client_p99_ms": round(ours.percentile_ms(99), 3),
        "rate_per_s": round(ours.rate_per_s),
        "saturation_per_s": round(saturation),
        "floor_p50_ms": _server(floor, 50),
        "floor_p95_ms": _server(floor, 95),
        "ratio_p50": round(_server(ours, 50) / _server(floor, 50), 2),
        "floor_client_p50_ms": round(floor.percentile_ms(50), 3),
        "ratio_client_p50": round(ours.percentile_ms(50) / floor.percentile_ms(50), 2),
        "django_hello_p50_ms": _server(floors["django"], 50),
        "hello_client_p50_ms": round(floors["hello"].percentile_ms(50), 3),
        "fdatasync_p95_ms": round(max(before["p95_ms"], after["p95_ms"]), 3),
        "entry_bytes": int(stack.environment["FLOOR_BYTES"]),
        "percents": list(PERCENTS),
        "ours_ms": [_server(ours, percent) for percent in PERCENTS],
        "append_ms": [_server(floor, percent) for percent in PERCENTS],
    }


def _server(result: load.Result, percent: float) -> float:
    return percentile(result.server_ms, percent)


def _entry_bytes() -> int:
    """How long the log's last entry is, which is one of these events."""
    from metering.log import FIELD, redis_of, stream_of

    ((_, fields),) = redis_of(settings.LOG_REDIS_URL, 5.0).xrevrange(stream_of(0), count=1)
    return len(fields[FIELD])


def _tenant_key() -> str:
    """A tenant with the quick start's customer and meter; its key, without a rate limit."""
    from aforo.tenancy.services.api_keys import api_key_create
    from aforo.tenancy.services.customers import customer_create
    from aforo.tenancy.services.tenants import tenant_create
    from metering.services.meters import meter_create

    tenant = tenant_create(slug="bench", name="Bench")
    customer_create(tenant=tenant, external_id="cust_abc")
    meter_create(tenant=tenant, key="api.call", aggregation="COUNT")
    return api_key_create(tenant=tenant, name="bench")[1]
