"""ingest_single: one event a request, answered once it is fsynced, beside a function that only makes the same append."""

from __future__ import annotations

from typing import Any

from . import load
from .disk import fdatasync_ms
from .stack import ROOT, Stack

WORKERS = 2
CONNECTIONS = 16
SATURATION_S = 3.0
HALF_LOAD_S = 6.0
BODY = b'{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}'


def measure(stack: Stack) -> dict[str, Any]:
    """Latencies as the caller sees them, from the time a request was due, at half of the rate that saturates.

    floor: a bare WSGI function on the same server, at half of its own rate.
    """
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {_tenant_key()}"}
    request = load.post("/v1/events", BODY, headers)
    web = stack.serve("web", "aforo.wsgi:application", workers=WORKERS)
    ours = _half_load(web, request)
    stack.end("web")
    floor_port = stack.serve("floor", "benchmarks.floors:append", workers=WORKERS)
    floor = _half_load(floor_port, load.post("/", BODY, {}))
    stack.end("floor")
    return {
        "p50_ms": _ms(ours, 50),
        "p95_ms": _ms(ours, 95),
        "p99_ms": _ms(ours, 99),
        "rate_per_s": round(ours.rate_per_s),
        "floor_p50_ms": _ms(floor, 50),
        "floor_rate_per_s": round(floor.rate_per_s),
        "ratio_p50": round(ours.percentile_ms(50) / floor.percentile_ms(50), 2),
        "fdatasync_p95_ms": round(fdatasync_ms(ROOT)["p95_ms"], 3),
    }


def _half_load(port: int, request: bytes) -> load.Result:
    """A run at half of what the server manages; every request must be answered 202."""
    most = load.run(port, lambda _: request, seconds=SATURATION_S, connections=CONNECTIONS)
    half = load.run(
        port,
        lambda _: request,
        seconds=HALF_LOAD_S,
        connections=CONNECTIONS,
        rate_per_s=most.rate_per_s / 2,
    )
    refused = {status for run in (most, half) for status in run.statuses} - {202}
    if refused:
        raise RuntimeError(f"requests were answered {sorted(refused)}")
    return half


def _ms(result: load.Result, percent: float) -> float:
    return round(result.percentile_ms(percent), 3)


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
