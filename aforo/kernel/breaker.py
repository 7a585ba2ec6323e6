"""Breaker: stops asking a server that does not answer, so that callers need not wait for it one after the other."""

from __future__ import annotations

import threading
import time

FAILURES_MAX = 3
PAUSE_S = 1.0


class Breaker:
    """Lets calls through until three in a row have failed; then one a second, until one succeeds. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._due_s = 0.0

    def lets_through(self) -> bool:
        """Whether to try; asked once for each try."""
        with self._lock:
            if self._failures < FAILURES_MAX:
                return True
            if time.monotonic() < self._due_s:
                return False
            # This call is the probe; others wait for what becomes of it.
            self._due_s = time.monotonic() + PAUSE_S
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._due_s = time.monotonic() + PAUSE_S
