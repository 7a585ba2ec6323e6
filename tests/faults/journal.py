"""The sender's own journal: what was sent and acknowledged, and what must have become of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from django.db import connection

from aforo.kernel.errors import Problem
from metering import log
from metering.models import Bucket, DeadLetter, Event, Identity, LogEntry
from metering.writer import Writer
from tests.metering.rows import call, submission, tally
from tests.workspaces import Workspace


def body_of(number: int) -> list[dict[str, Any]]:
    """50 events: 47 new ones, a retry of the body before, the same key with another content, an unknown customer."""
    new = [call(f"k{number}.{n}", n + 1) for n in range(47)]
    retry = call(f"k{max(0, number - 1)}.0", 1)
    conflict = call(f"k{number}.1", 999)
    return [*new, retry, conflict, call(f"k{number}.x", customer_id="nobody")]


class Journal:
    """Sends bodies of 50 events and notes those that were acknowledged."""

    def __init__(self, to: Workspace) -> None:
        self.to = to
        self.sent: list[int] = []
        self.durabilities: Counter[str] = Counter()

    def send(self, number: int) -> None:
        """Append a body, as the API does, until it is acknowledged; every try is a request of its own."""
        one = submission(self.to, body_of(number))
        while True:
            try:
                self.durabilities[log.append(one)] += 1
            except Problem:
                time.sleep(0.05)
            else:
                break
        self.sent.append(number)

    def check(self) -> None:
        """Nothing that was acknowledged is lost, nothing is counted twice, and every count agrees with the journal."""
        Writer(0).drain()
        tenant = self.to.tenant
        bodies = len(self.sent)
        expected = {f"k{number}.{n}": n + 1 for number in self.sent for n in range(47)}
        stored = dict(Event.objects.filter(tenant=tenant).values_list("key", "quantity"))
        lost, foreign = expected.keys() - stored.keys(), stored.keys() - expected.keys()
        assert (len(lost), len(foreign)) == (0, 0), (
            f"lost {sorted(lost)[:5]}, never sent {sorted(foreign)[:5]}"
        )
        assert stored == expected
        assert Event.objects.filter(tenant=tenant).count() == len(expected)
        assert Identity.objects.filter(tenant=tenant).count() == len(expected)
        buckets = Bucket.objects.filter(tenant=tenant)
        assert sum(bucket.count for bucket in buckets) == len(expected)
        assert sum(bucket.sum for bucket in buckets) == sum(expected.values())
        counts = tally(self.to)
        counts.pop("copies", None)
        assert counts == {
            "received": 50 * bodies,
            "accepted": len(expected),
            "duplicates": bodies,
            "dead_letters": 2 * bodies,
        }
        assert DeadLetter.objects.filter(tenant=tenant).count() == 2 * bodies
        assert not LogEntry.objects.exists()


class Sender(threading.Thread):
    """Sends bodies, *pause_s* seconds apart, until told to stop."""

    def __init__(self, journal: Journal, *, pause_s: float) -> None:
        super().__init__()
        self.journal = journal
        self._pause_s = pause_s
        self._stop_asked = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stop_asked.wait(self._pause_s):
            self.journal.send(number)
            number += 1
        connection.close()

    def __enter__(self) -> Sender:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        self.join()
