"""A web server with a mistake in it: it answers 202, and appends to the log a moment later."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from aforo.wsgi import application
from metering.services import events

__all__ = ["application"]

_later = ThreadPoolExecutor(1)
_append = events.append


def _answer_first(submission, *, meanwhile=lambda: None):
    def append() -> None:
        time.sleep(0.05)
        _append(submission)

    _later.submit(append)
    meanwhile()
    return "log"


events.append = _answer_first
