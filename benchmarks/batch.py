"""ingest_batch: batches of 1,000 events, from the request to the usage that they are visible in."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import psycopg

from . import load
from .stack import Stack
from .workload import BATCH, Bodies, Workload

CONNECTIONS = 4
POLL_S = 0.01
DRAIN_S = 120.0


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
    """

    events: int
    seconds: float
    drain_s: float
    result: load.Result
    freshness_s: list[float]
    cpu_us: dict[str, float]

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
    return Run(
        events=events,
        seconds=ended - started,
        drain_s=ended - result.answered_s[-1],
        result=result,
        freshness_s=_freshness_s(result.answered_s, visible.seen),
        cpu_us={name: round(seconds / events * 1e6, 2) for name, seconds in used.items()},
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
