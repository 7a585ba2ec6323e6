"""`python -m benchmarks.one NAME`: one benchmark on a stack of its own; its figures and the machine's as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from aforo.kernel.clock import now

from . import batch, bill_run, can_access, growth, publishing, single
from .disk import fdatasync_ms
from .stack import Stack, stack

BENCHMARKS: dict[str, Callable[[Stack], dict[str, Any]]] = {
    "ingest_single": single.measure,
    "ingest_batch": batch.measure,
    "can_access": can_access.measure,
    "publishing": publishing.measure,
    "growth": growth.measure,
    "bill_run": bill_run.measure,
    "bill_run_killed": bill_run.measure_killed,
}


def main(name: str) -> None:
    """Measure and print; the machine is described before it gets warm."""
    load_average = os.getloadavg()[0]
    with stack() as under_test:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            (postgres,) = cursor.fetchone()
        machine = {
            "cores": os.cpu_count(),
            "fdatasync_p95_ms": round(fdatasync_ms(under_test.home)["p95_ms"], 3),
            "load_average_before": round(load_average, 2),
            "python": platform.python_version(),
            "postgresql": postgres.split()[0],
            "date": now().date().isoformat(),
        }
        json.dump({name: BENCHMARKS[name](under_test), "machine": machine}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
