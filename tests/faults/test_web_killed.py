"""The web server killed in the middle of a replay over HTTP: what was answered is stored, and nothing counts twice."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from django.db import connection

from aforo.runtime.process import port_pick
from aforo.runtime.supervisor import application
from metering.delivery import HttpDelivery
from metering.models import Bucket, DeadLetter, Event
from metering.writer import Writer
from tests.metering.rows import tally
from tests.workspaces import workspace

from .journal import body_of
from .programs import PATIENCE_S, ROOT, kill, program, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]

BODIES = 240


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


@pytest.mark.promise("P22", "P27", "P88")
def test_a_web_server_killed_in_the_middle_of_a_replay(tmp_path):
    acme = workspace()
    port = port_pick()
    web = application(ROOT, tmp_path, port)[0].command[1:]
    answered: list[int] = []
    attempts = 0

    def replay() -> None:
        nonlocal attempts
        delivery = HttpDelivery(
            url=f"http://127.0.0.1:{port}", key=acme.key, tenant_slug=acme.tenant.slug, patience_s=PATIENCE_S
        )
        for number in range(BODIES):
            attempts += delivery.send(body_of(number)).attempts
            answered.append(number)
        delivery.close()

    sender = threading.Thread(target=replay)
    with program("manage.py", "writer"):
        try:
            # Killed whole at a third; then its workers, which come back by themselves.
            with program(*web) as server:
                sender.start()
                wait_until(lambda: len(answered) > BODIES // 3, "a third")
                kill(server)
            with program(*web) as server:
                wait_until(lambda: len(answered) > BODIES * 2 // 3, "two thirds")
                for worker in children_of(server.pid):
                    os.kill(worker, signal.SIGKILL)
                sender.join(timeout=PATIENCE_S)
        finally:
            sender.join(timeout=PATIENCE_S)
            connection.close()

    assert answered == list(range(BODIES))
    assert attempts > BODIES
    Writer(0).drain()
    expected = {f"k{number}.{n}": n + 1 for number in range(BODIES) for n in range(47)}
    assert dict(Event.objects.values_list("key", "quantity")) == expected
    assert Event.objects.count() == sum(bucket.count for bucket in Bucket.objects.all()) == len(expected)
    # A body whose answer was lost was sent again: received twice, and a duplicate the second time.
    counts = tally(acme)
    assert counts["received"] == counts["accepted"] + counts["duplicates"] + counts["dead_letters"]
    assert counts["accepted"] == len(expected)
    assert 50 * BODIES <= counts["received"] <= 50 * attempts
    assert counts["dead_letters"] == DeadLetter.objects.count()
