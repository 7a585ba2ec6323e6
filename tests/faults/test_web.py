"""The web server: killed in the middle of requests, and asked for the same events by 200 senders at once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest

from metering.models import Bucket, Event, Identity
from metering.writer import Writer
from tests.metering.rows import call, tally
from tests.workspaces import workspace

from .journal import Journal, Sender, by_http
from .programs import WRITER, program, wait_until, web

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]

SENDERS = 200
KEYS = 1_000
BATCH = 250


def await_answers(journal: Journal) -> None:
    sent = len(journal.sent)
    wait_until(lambda: len(journal.sent) > sent + 20, "answers")


@pytest.mark.promise("P22", "P27", "P88")
def test_a_web_server_killed_in_the_middle_of_requests_loses_nothing_that_it_answered():
    acme = workspace()
    dice = random.Random(5)
    with web() as server, program(*WRITER):
        journal = Journal(acme, by_http(server.url, acme))
        with Sender(journal, pause_s=0.005):
            for pid in server.workers():
                await_answers(journal)
                time.sleep(dice.uniform(0, 0.02))
                os.kill(pid, signal.SIGKILL)
            await_answers(journal)

    assert journal.unanswered
    journal.check()


@pytest.mark.promise("P22")
def test_the_same_thousand_keys_from_two_hundred_senders_are_a_thousand_events():
    acme = workspace()
    answered: list[str] = []

    def send(number: int) -> None:
        # Each begins elsewhere: 200 orders of the same keys.
        keys = [f"k{(number * 5 + n) % KEYS}" for n in range(KEYS)]
        deliver = by_http(server.url, acme)
        for start in range(0, KEYS, BATCH):
            answered.append(deliver([call(key, 2) for key in keys[start : start + BATCH]]))

    with web() as server, program(*WRITER):
        senders = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        Writer(0).drain()

    # Every request was answered 202 once, so none was sent twice: 200 x 1,000 = 200,000 received.
    assert answered == ["log"] * (SENDERS * KEYS // BATCH)
    assert tally(acme) == {"received": 200_000, "accepted": 1_000, "duplicates": 199_000}
    assert Event.objects.count() == Identity.objects.count() == 1_000
    assert Event.objects.values("key").distinct().count() == 1_000
    (bucket,) = Bucket.objects.all()
    assert (bucket.count, bucket.sum) == (1_000, 2_000)
