"""Turns of a loop that waits for others: trouble is said once, and tried again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from redis import RedisError

# So long a loop waits at least after a turn that failed.
PAUSE_S = 0.5

_logger = logging.getLogger(__name__)


def turns_take(
    turn: Callable[[], object],
    stop: threading.Event,
    *,
    name: str,
    every_s: float,
    outage: tuple[type[Exception], ...] = (OSError,),
) -> None:
    """Take turns until told to stop.

    name: for the log, as "sync". every_s: between the beginnings of two turns. outage: what a turn raises where somebody
    cannot be asked, beside redis.RedisError; anything else is a programmer's mistake and ends the loop.
    """
    trouble = ""
    while not stop.is_set():
        started_s = time.monotonic()
        wait_s = every_s
        try:
            turn()
            if trouble:
                _logger.info("%s goes on", name)
            trouble = ""
        except (*outage, RedisError) as error:
            said = (str(error).strip() or repr(error)).splitlines()[0]
            if said != trouble:
                trouble = said
                _logger.warning("%s waits: %s", name, trouble)
            wait_s = max(every_s, PAUSE_S)
        stop.wait(max(0.0, wait_s - (time.monotonic() - started_s)))
