"""The sender's own journal: what was sent and acknowledged, and what must have become of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.db import connection
from django.db.models import Sum

from aforo.kernel.errors import Problem
from metering import log
from metering.models import Bucket, DeadLetter, Event, Identity, LogEntry
from metering.writer import Writer
from tests.metering.rows import call, submission, tally
from tests.workspaces import Workspace

PATIENCE_S = 60.0

Body = list[dict[str, Any]]
# Takes a body and returns its durability; raises Unanswered.
Deliver = Callable[[Body], str]


class Unanswered(Exception):
    """Nobody answered 202: the body was kept, or not."""


def body_of(number: int) -> Body:
    """50 events: 47 new ones, a retry of the body before, the same key with another content, a quantity that is none.

    No unknown customer: that one is unknown cannot be told while the store is away, and such a body is asked to wait. None has a timestamp: the retry comes at another time than the event that it repeats.
    """
    new = [call(f"k{number}.{n}", n + 1) for n in range(47)]
    retry = call(f"k{max(0, number - 1)}.0", 1)
    conflict = call(f"k{number}.1", 999)
    return [*new, retry, conflict, call(f"k{number}.x", "many")]


def keys_of(numbers: Iterable[int]) -> list[str]:
    """The keys of the new events in these bodies, sorted."""
    return sorted(f"k{number}.{n}" for number in numbers for n in range(47))


def by_log(to: Workspace) -> Deliver:
    """Straight into the log, as the API does."""

    def deliver(body: Body) -> str:
        try:
            return log.append(submission(to, body))
        except Problem as problem:
            raise Unanswered from problem

    return deliver


def by_http(url: str, to: Workspace) -> Deliver:
    """POST /v1/events over a connection of its own; for one thread."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {"Authorization": f"Bearer {to.key}", "Content-Type": "application/json"}

    def deliver(body: Body) -> str:
        try:
            connection.request("POST", "/v1/events", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unanswered from error
        if answer.status != 202:
            raise Unanswered(answer.status)
        return answer.headers["Aforo-Durability"]

    return deliver


class Findings(NamedTuple):
    """Where the store differs from the journal; all empty where it does not.

    lost: keys that were acknowledged and are not stored. doubled: keys stored more than once. foreign: keys never sent.
    sums: counts and totals that do not agree, each as a sentence.
    """

    lost: list[str] = []
    doubled: list[str] = []
    foreign: list[str] = []
    sums: list[str] = []


class Journal:
    """Sends bodies of 50 events and notes those that were acknowledged.

    sent: the numbers of the bodies. unanswered: tries that may have arrived all the same.
    """

    def __init__(self, to: Workspace, deliver: Deliver | None = None) -> None:
        self.to = to
        self.sent: list[int] = []
        self.unanswered = 0
        self.durabilities: Counter[str] = Counter()
        self.deliver = deliver or by_log(to)

    def send(self, number: int) -> None:
        """Send a body until it is acknowledged; every try is a request of its own."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.durabilities[self.deliver(body_of(number))] += 1
            except Unanswered:
                if time.monotonic() > end:
                    raise
                self.unanswered += 1
                time.sleep(0.05)
            else:
                break
        self.sent.append(number)

    def check(self) -> None:
        """Nothing that was acknowledged is lost, nothing is counted twice, and every count agrees with the journal."""
        findings = self.findings()
        assert findings == Findings(), findings

    def findings(self) -> Findings:
        """Write what waits, then compare the store with the journal."""
        Writer(0).drain()
        tenant = self.to.tenant
        expected = {f"k{number}.{n}": n + 1 for number in self.sent for n in range(47)}
        events = Event.objects.filter(tenant=tenant)
        times = Counter(events.values_list("key", flat=True))
        findings = Findings(
            lost=sorted(expected.keys() - times.keys()),
            doubled=sorted(key for key, count in times.items() if count > 1),
            foreign=sorted(times.keys() - expected.keys()),
            sums=[],
        )
        # A try that was not answered and arrived: 47 + 1 duplicates, and two more dead letters.
        arrived = tally(self.to).get("received", 0) // 50
        again = arrived - len(self.sent)
        buckets = Bucket.objects.filter(tenant=tenant)
        told = tally(self.to)
        for what, is_now, must_be in (
            ("events", events.count(), len(expected)),
            ("identities", Identity.objects.filter(tenant=tenant).count(), len(expected)),
            ("quantity", events.aggregate(sum=Sum("quantity"))["sum"] or 0, sum(expected.values())),
            ("count of buckets", sum(bucket.count for bucket in buckets), len(expected)),
            ("sum of buckets", sum(bucket.sum for bucket in buckets), sum(expected.values())),
            ("received", told.get("received", 0), 50 * arrived),
            ("accepted", told.get("accepted", 0), len(expected)),
            ("duplicates", told.get("duplicates", 0), len(self.sent) + 48 * again),
            ("counted dead letters", told.get("dead_letters", 0), 2 * arrived),
            ("dead letters", DeadLetter.objects.filter(tenant=tenant).count(), 2 * arrived),
            ("entries left", LogEntry.objects.count(), 0),
        ):
            if is_now != must_be:
                findings.sums.append(f"{what}: {is_now}, not {must_be}")
        if not 0 <= again <= self.unanswered:
            findings.sums.append(
                f"{arrived} bodies arrived; {len(self.sent)} were acknowledged, {self.unanswered} not"
            )
        return findings


class Sender(threading.Thread):
    """Sends bodies, *pause_s* seconds apart, until told to stop."""

    def __init__(self, journal: Journal, *, pause_s: float) -> None:
        super().__init__(daemon=True)
        self.journal = journal
        self._pause_s = pause_s
        self._stop_asked = threading.Event()

    def run(self) -> None:
        # Where the last sender of this journal ended.
        number = len(self.journal.sent)
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
