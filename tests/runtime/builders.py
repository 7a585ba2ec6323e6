"""Small programs and looks at processes that several tests of the runtime share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# Ends in order at SIGTERM and says so: writes its name to the file in ENDED.
ORDERLY = """
import os, signal, sys, time
def end(*_):
    with open(os.environ["ENDED"], "a") as file:
        file.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print(sys.argv[1], "is up", flush=True)
while True:
    time.sleep(0.05)
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def orderly(name: str) -> tuple[str, ...]:
    """The command line of a program that ends in order."""
    return (sys.executable, "-c", ORDERLY, name)


def python_environment(**more: str) -> dict[str, str]:
    """Ours without the servers of the tests, so that a command starts its own."""
    without = {"DATABASE_URL", "REDIS_URL", "LOG_REDIS_URL", "SECRET_KEY", "AFORO_HOME", "PORT"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return {**kept, "PYTHONPATH": str(PROJECT), **more}
