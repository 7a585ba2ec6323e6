"""growth: how fast events are stored, and a customer's month of usage is answered, as the store fills up."""

from __future__ import annotations

import sys
import time
import urllib.request
from typing import Any

from aforo.kernel.clock import now
from aforo.kernel.identifiers import random_bits_63

from .load import percentile
from .stack import Stack
from .workload import BATCH, Bodies, workload_make

STEPS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
# So many are stored at each step while the clock runs; the first two steps' own are the first measure.
MEASURED = 200_000
QUERIES = 40


def measure(stack: Stack) -> dict[str, Any]:
    """Events are put into the log as the web server puts them, without HTTP; `make run`'s writer stores them.

    rate_per_s: while the log is full, at each of `events` stored. query_p50_ms: GET /v1/usage, one customer's month.
    """
    from aforo.tenancy.models import Tenant
    from metering.event import Submission
    from metering.services.events import submission_ingest

    workload = workload_make()
    tenant = Tenant.objects.get(pk=workload.tenant_id)
    bodies = Bodies(1)
    number = 0

    def fill(events: int) -> None:
        nonlocal number
        for _ in range(events // BATCH):
            submission = Submission(
                tenant_id=tenant.pk,
                tenant_slug=tenant.slug,
                api_key_id=None,
                received_at=now(),
                intake_id=random_bits_63(),
                body=bodies.body(number),
                content_type="application/json",
            )
            submission_ingest(tenant=tenant, submission=submission)
            number += 1

    fill(STEPS[0])
    stack.drained()
    rates, queries, sizes = [], [], []
    for step in STEPS:
        while (missing := step - number * BATCH) > 0:
            fill(min(missing, MEASURED))
            stack.drained()
        stack.pause("writer")
        fill(MEASURED)
        stack.resume("writer")
        started = time.perf_counter()
        stack.drained()
        rates.append(round(MEASURED / (time.perf_counter() - started)))
        queries.append(round(_query_p50_ms(stack, workload.key), 2))
        sizes.append(step)
        sys.stderr.write(f"  {step:>12,} stored: {rates[-1]:,} events/s, usage in {queries[-1]} ms\n")
    return {
        "rate_at_100k_per_s": rates[0],
        "rate_at_10m_per_s": rates[-1],
        "ratio_rate": round(rates[-1] / rates[0], 2),
        "query_at_100k_p50_ms": queries[0],
        "query_at_10m_p50_ms": queries[-1],
        "events": sizes,
        "rate_per_s": rates,
        "query_p50_ms": queries,
    }


def _query_p50_ms(stack: Stack, key: str) -> float:
    present = now()
    start = present.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)).isoformat()
    where = f"customer_id=cust_00001&meter=api.call&start={start:%Y-%m-%dT%H:%M:%SZ}&end={end[:19]}Z"
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/v1/usage?{where}", headers={"Authorization": f"Bearer {key}"}
    )
    taken = []
    for _ in range(QUERIES):
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
        taken.append((time.perf_counter() - started) * 1000)
    return percentile(sorted(taken), 50)
