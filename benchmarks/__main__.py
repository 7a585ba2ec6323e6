"""`make bench [NAME=ingest_single]`: measures on this machine, each figure beside its floor in the same run."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from aforo.kernel.clock import now

from . import single
from .stack import ROOT, Stack, stack

BENCHMARKS: dict[str, Callable[[Stack], dict[str, Any]]] = {"ingest_single": single.measure}
RESULTS = ROOT / "benchmarks" / "results.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks, all of them where none is named; returns the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"No benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}.\n")
        return 2
    load_average = os.getloadavg()[0]
    results: dict[str, Any] = {}
    with stack() as under_test:
        for name in names or BENCHMARKS:
            sys.stderr.write(f"Measuring {name} …\n")
            results[name] = BENCHMARKS[name](under_test)
    results["machine"] = {
        "cores": os.cpu_count(),
        "load_average_before": round(load_average, 2),
        "python": platform.python_version(),
        "date": now().date().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    Console().print(_table(results))
    return 0


def _table(results: dict[str, Any]) -> Table:
    table = Table(title="Benchmarks")
    for title in ("benchmark", "figure", "value"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for name, figures in results.items():
        for figure, value in figures.items():
            table.add_row(name, figure, str(value))
    return table


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name]))
