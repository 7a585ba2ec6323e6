"""Writers killed one after another: python -m tests.faults.storm KILLS [position-first]

Each writer is a forked process that is killed with SIGKILL 20 to 200 ms after its start. "position-first" is a writer
with a mistake in it, which shows that a loss would be seen.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from metering.batch import batch_store  # noqa: E402
from metering.writer import Writer  # noqa: E402


class PositionFirst(Writer):
    """Moves on behind a batch before the batch is written."""

    def _write(self, batch, move):
        with transaction.atomic():
            move()
        batch_store(batch.ready)


def main(kills: int, writer: type[Writer]) -> None:
    dice = random.Random(7)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            writer(0).run()
            os._exit(0)
        time.sleep(dice.uniform(0.02, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    connection.close()
    main(int(sys.argv[1]), PositionFirst if "position-first" in sys.argv else Writer)
