"""Writers with a mistake in them, or stopped at a bad moment: python -m tests.faults.variants NAME [KILLS]

Without KILLS one writer runs, as `manage.py writer` does. With it, so many run one after another, each a forked process that
ends by SIGKILL: a sound one 20 to 200 ms after its start, one with a mistake at the very moment that its mistake is about.

sound                  no mistake
position-first         acknowledges a batch before it is committed: moves on behind it, then writes it
position-last          writes a batch, then moves on behind it, in two transactions: a batch may come twice
timestamp-in-identity  an event's identity is its key and its time
stopped-before-commit  no mistake, but SIGSTOP strikes it once between its first batch and the commit
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from metering import intake, writer  # noqa: E402
from metering.batch import batch_store  # noqa: E402
from metering.intake import identity  # noqa: E402
from metering.writer import Writer  # noqa: E402


def struck() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class PositionFirst(Writer):
    def _write(self, batch, move):
        with transaction.atomic():
            move()
        struck()
        batch_store(batch.ready)


class PositionLast(Writer):
    def _write(self, batch, move):
        batch_store(batch.ready)
        struck()
        with transaction.atomic():
            move()


class StoppedBeforeCommit(Writer):
    is_struck = False

    def _write(self, batch, move):
        def move_or_stop():
            if not self.is_struck:
                self.is_struck = True
                os.kill(os.getpid(), signal.SIGSTOP)
            move()

        super()._write(batch, move_or_stop)


def timestamp_in_identity() -> type[Writer]:
    def check(draft, receipt):
        refusal = identity.check(draft, receipt)
        draft.identity = identity.identity_of(f"{draft.key} {draft.timestamp.isoformat()}")
        return refusal

    intake.STEPS = tuple(check if step is identity.check else step for step in intake.STEPS)
    return Writer


def stopped_before_commit() -> type[Writer]:
    # So that the test need not wait as long as production does.
    writer.STALLED_S = 3
    return StoppedBeforeCommit


VARIANTS: dict[str, Callable[[], type[Writer]]] = {
    "sound": lambda: Writer,
    "position-first": lambda: PositionFirst,
    "position-last": lambda: PositionLast,
    "timestamp-in-identity": timestamp_in_identity,
    "stopped-before-commit": stopped_before_commit,
}


def storm(made: type[Writer], kills: int) -> None:
    dice = random.Random(7)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            made(0).run()
            os._exit(0)
        if made is Writer:
            time.sleep(dice.uniform(0.02, 0.2))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    connection.close()
    made = VARIANTS[sys.argv[1]]()
    if len(sys.argv) > 2:
        storm(made, int(sys.argv[2]))
    else:
        made(0).run()
