"""`make bench [NAME=ingest_single]`: measures on this machine, each figure beside its floor in the same run.

Writes benchmarks/results.json, and docs/benchmarks.md with its plots; what was not measured this time stays as it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from . import report
from .one import BENCHMARKS
from .stack import PROJECT

# What `make bench` runs, in about five minutes; growth takes ten and is asked for by name.
USUAL = ("ingest_single", "ingest_batch", "can_access")
RESULTS = PROJECT / "benchmarks" / "results.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks, the usual ones where none is named; returns the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"No benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}.\n")
        return 2
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or USUAL:
        sys.stderr.write(f"Measuring {name} …\n")
        # A process and a stack for each, so that none pays for what another left.
        one = subprocess.run(
            [sys.executable, "-m", "benchmarks.one", name], cwd=PROJECT, stdout=subprocess.PIPE, check=False
        )
        if one.returncode:
            return one.returncode
        results |= json.loads(one.stdout)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    report.write(results)
    Console().print(_table(results))
    sys.stderr.write("Written: benchmarks/results.json, docs/benchmarks.md.\n")
    return 0


def _table(results: dict[str, Any]) -> Table:
    table = Table(title="Benchmarks")
    for title in ("benchmark", "figure", "value"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for name, figures in results.items():
        for figure, value in figures.items():
            if not isinstance(value, list | dict):
                table.add_row(name, figure, str(value))
    return table


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name]))
