"""The writer, the log and the store killed or taken away while events stream in: none lost, none twice."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from metering.models import Event, LogPosition

from .journal import Sender
from .programs import TIMES, WRITER, is_frozen, kill, program, store_closed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

VARIANTS = ("-m", "tests.faults.variants")


def stored() -> int:
    return Event.objects.count()


def moved_from(last_id: str | None) -> bool:
    return LogPosition.objects.exclude(last_id=last_id or "0-0").exists()


def last_id() -> str | None:
    return LogPosition.objects.values_list("last_id", flat=True).first()


@pytest.mark.promise("P22", "P27", "P88")
def test_a_writer_killed_again_and_again_loses_nothing_and_counts_nothing_twice(journal):
    dice = random.Random(3)
    with Sender(journal, pause_s=0.02):
        for _ in range(5 * TIMES):
            place = last_id()
            with program(*WRITER) as writer:
                # In the middle of its work: at its first batches, or some later.
                wait_until(lambda place=place: moved_from(place), "the writer's first batch")
                time.sleep(dice.uniform(0, 0.1))
                kill(writer)

    journal.check()


@pytest.mark.promise("P22", "P27")
def test_forty_writers_killed_within_a_fifth_of_a_second_of_their_start(journal):
    with Sender(journal, pause_s=0.005), program(*VARIANTS, "sound", str(40 * TIMES)) as storm:
        assert storm.wait(timeout=60 * TIMES) == 0

    journal.check()


@pytest.mark.promise("P88")
def test_a_second_writer_takes_over_from_a_killed_one(journal):
    with Sender(journal, pause_s=0.01), program(*WRITER) as first, program(*WRITER) as second:
        wait_until(lambda: stored() > 0, "the first batch")
        # Whoever has the shard: the other one waits. Both are killed in turn; the survivor goes on within seconds.
        for process in (first, second):
            place = last_id()
            wait_until(lambda place=place: last_id() != place, "progress")
            kill(process)
            if process is first:
                place, since_s = last_id(), time.monotonic()
                wait_until(lambda place=place: last_id() != place, "the other writer")
                assert time.monotonic() - since_s < 15

    journal.check()


@pytest.mark.promise("P27")
def test_a_writer_told_to_end_writes_what_has_arrived(journal):
    with program(*WRITER) as writer:
        with Sender(journal, pause_s=0.01):
            wait_until(lambda: stored() > 0, "the first batch")
        writer.send_signal(signal.SIGTERM)
        assert writer.wait(timeout=30) == 0
        # All of it, without another writer's help.
        assert stored() == 47 * len(journal.sent)

    journal.check()


@pytest.mark.promise("P22", "P88")
def test_a_writer_that_was_stopped_in_a_transaction_is_replaced_and_cannot_commit_when_it_wakes(journal):
    with Sender(journal, pause_s=0.01), program(*VARIANTS, "stopped-before-commit") as stopped:
        wait_until(lambda: is_frozen(stopped.pid), "the stop")
        with program(*WRITER):
            wait_until(lambda: stored() > 0, "the other writer")
            os.kill(stopped.pid, signal.SIGCONT)
            place = last_id()
            wait_until(lambda: last_id() != place, "more of the other's work")
            assert stopped.poll() is None

    journal.check()


@pytest.mark.promise("P27", "P88")
def test_while_the_store_refuses_connections_the_log_takes_events_and_the_writer_waits(journal):
    with program(*WRITER) as writer, Sender(journal, pause_s=0.01):
        wait_until(lambda: stored() > 0, "the first batch")
        with store_closed():
            place, sent = last_id(), len(journal.sent)
            wait_until(lambda: len(journal.sent) > sent + 100, "events into the log")
            assert last_id() == place
            assert writer.poll() is None
        wait_until(lambda: last_id() != place, "the writer's return")

    assert journal.durabilities.keys() == {"log"}
    journal.check()
