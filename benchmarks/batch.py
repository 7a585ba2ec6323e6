"""ingest_batch: batches of 1,000 events, from the request to the usage that they are visible in."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import psycopg

from . import load
from .load import percentile
from .stack import Stack
from .storage import bytes_per_event
from .store_floor import copy_rate_per_s
from .workload import BATCH, Bodies, Workload, workload_make

CONNECTIONS = 4
POLL_S = 0.02
DRAIN_S = 120.0
# By then every customer has used every meter, as in a month that has begun.
WARM_S = 20.0
CAPACITY_S = 20.0
SUSTAINED_S = 60.0
HALF_S = 30.0
# The rate that is tried first, of what all cores could do, and the factor between two tries.
SHARE, STEP, TRIES = 0.85, 0.88, 4
FRESH_S = 2.0


def measure(stack: Stack) -> dict[str, Any]:
    """The highest rate that the stack holds for a minute, with all events in usage within two seconds.

    rate_per_s: events accepted, stored, deduplicated, enriched and in usage. freshness: from a batch's answer until its
    events are in the bucket that usage reads.
    """
    workload = workload_make()
    run(stack, workload, 1, seconds=WARM_S)
    capacity = run(stack, workload, 2, seconds=CAPACITY_S)
    events_per_s = SHARE * (os.cpu_count() or 1) * 1e6 / sum(capacity.cpu_us.values())
    for number in range(3, 3 + TRIES):
        held = run(stack, workload, number, seconds=SUSTAINED_S, events_per_s=events_per_s)
        if percentile(held.freshness_s, 99) <= FRESH_S:
            break
        events_per_s *= STEP
    half = run(stack, workload, 3 + TRIES, seconds=HALF_S, events_per_s=held.rate_per_s / 2)
    copy_per_s = copy_rate_per_s()
    return {
        "rate_per_s": round(held.rate_per_s),
        "capacity_per_s": round(capacity.rate_per_s),
        "copy_per_s": round(copy_per_s),
        "ratio_copy": round(held.rate_per_s / copy_per_s, 3),
        "freshness_p50_s": round(percentile(held.freshness_s, 50), 3),
        "freshness_p99_s": round(percentile(held.freshness_s, 99), 3),
        "freshness_half_p99_s": round(percentile(half.freshness_s, 99), 3),
        "drain_s": round(held.drain_s, 2),
        "client_p50_ms": round(held.result.percentile_ms(50), 1),
        "client_p95_ms": round(held.result.percentile_ms(95), 1),
        "client_p99_ms": round(held.result.percentile_ms(99), 1),
        "cpu_us_per_event": round(sum(held.cpu_us.values()), 1),
        "cpu_us": held.cpu_us,
        "bytes_per_event": round(bytes_per_event(stack, workload.key)),
        "seconds": list(range(int(held.seconds) + 1)),
        "accepted": held.accepted,
        "visible": held.visible,
    }


class Visible:
    """When each batch became visible in usage: the probe's count in the bucket that usage reads, looked at all the time.

    seen: (time.perf_counter, batches visible by then), each time the count had grown.
    """

    def __init__(self, workload: Workload) -> None:
        self.seen: list[tuple[float, int]] = []
        self._workload = workload
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Visible:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for(self, batches: int) -> None:
        """Wait until so many batches are visible."""
        end = time.perf_counter() + DRAIN_S
        while not self.seen or self.seen[-1][1] < batches:
            if time.perf_counter() > end:
                raise TimeoutError(f"{self.seen[-1:]} of {batches} batches visible after {DRAIN_S} s")
            # Another thread counts; the deadline above ends it.
            time.sleep(POLL_S)

    def _watch(self) -> None:
        before = None
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as store:
            while not self._ended.wait(POLL_S):
                (count,) = store.execute(
                    "SELECT coalesce(sum(count), 0)::int FROM metering_bucket"
                    " WHERE tenant_id = %s AND customer_id = %s AND meter_id = %s",
                    [
                        self._workload.tenant_id,
                        self._workload.probe_customer_id,
                        self._workload.probe_meter_id,
                    ],
                ).fetchone()
                if before is None:
                    before = count
                if count - before > (self.seen[-1][1] if self.seen else 0):
                    self.seen.append((time.perf_counter(), count - before))


@dataclass(frozen=True)
class Run:
    """One run. seconds: from the first request until the last event is visible. drain_s: of them, after the last answer.

    freshness_s: for each batch from its answer to its visibility, sorted. cpu_us: processor time an event, by process.
    accepted, visible: events by the end of each second.
    """

    events: int
    seconds: float
    drain_s: float
    result: load.Result
    freshness_s: list[float]
    cpu_us: dict[str, float]
    accepted: list[int]
    visible: list[int]

    @property
    def rate_per_s(self) -> float:
        return self.events / self.seconds


def run(
    stack: Stack, workload: Workload, name: int, *, seconds: float, events_per_s: float | None = None
) -> Run:
    """Send for *seconds*, evenly or as fast as answers come, then wait until all is visible."""
    bodies = Bodies(name)
    headers = {"Authorization": f"Bearer {workload.key}", "Content-Type": "application/json"}
    cpu = stack.cpu_s()
    with Visible(workload) as visible:
        # The watcher has to know what was there before the first request.
        time.sleep(0.2)
        started = time.perf_counter()
        result = load.run(
            stack.port,
            lambda number: load.post("/v1/events", bodies.body(number), headers),
            seconds=seconds,
            connections=CONNECTIONS,
            rate_per_s=events_per_s and events_per_s / BATCH,
        )
        batches = result.statuses.get(202, 0)
        visible.wait_for(batches)
    ended = visible.seen[-1][0]
    events = batches * BATCH
    used = {name: seconds - cpu.get(name, 0.0) for name, seconds in stack.cpu_s().items()}
    moments = [started + second for second in range(int(ended - started) + 1)]
    seen_s = [at for at, _ in visible.seen]
    return Run(
        events=events,
        seconds=ended - started,
        drain_s=ended - result.answered_s[-1],
        result=result,
        freshness_s=_freshness_s(result.answered_s, visible.seen),
        cpu_us={name: round(seconds / events * 1e6, 2) for name, seconds in used.items()},
        accepted=[bisect_right(result.answered_s, moment) * BATCH for moment in moments],
        visible=[
            visible.seen[place - 1][1] * BATCH if (place := bisect_right(seen_s, moment)) else 0
            for moment in moments
        ],
    )


def _freshness_s(answered: list[float], seen: list[tuple[float, int]]) -> list[float]:
    """From the n-th answer until n batches are visible: the log keeps their order."""
    times = iter(seen)
    at, count = next(times)
    result = []
    for number, answered_at in enumerate(answered, start=1):
        while count < number:
            at, count = next(times)
        result.append(max(0.0, at - answered_at))
    return sorted(result)
