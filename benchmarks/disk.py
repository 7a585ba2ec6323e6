"""The disk's own floor: 512 bytes appended and made durable, over and over."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from .load import percentile


def fdatasync_ms(folder: Path, *, count: int = 1000, size: int = 512) -> dict[str, float]:
    """p50 and p95, in milliseconds, of write + fdatasync on the disk that holds the folder."""
    taken: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        block = b"x" * size
        for _ in range(count):
            start = time.perf_counter()
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    return {"p50_ms": percentile(taken, 50), "p95_ms": percentile(taken, 95)}
