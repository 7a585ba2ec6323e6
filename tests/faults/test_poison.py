"""Events that the store will not have, in the middle of others: each is found and filed, and the others pass."""

from __future__ import annotations

import pytest

from metering.models import DeadLetter, Event, LogEntry
from tests.metering.rows import append, call, tally
from tests.workspaces import meter, workspace

from .journal import Sender
from .programs import WRITER, program, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BODIES = 20


@pytest.mark.promise("P27")
def test_poison_among_the_events_of_others_stops_nobody(journal):
    other = workspace("other_corp")
    # A bucket for each path: one of 9,000 characters that do not compress fits no index, and only the store knows that.
    meter(other.tenant, "page.view", group_by=["path"])
    noise = "".join(chr(0x4E00 + n * 7_919 % 20_000) for n in range(9_000))
    with program(*WRITER), Sender(journal, pause_s=0.01):
        for body in range(BODIES):
            events = [call(f"v{body}.{n}", metric="page.view", path=f"/{n % 7}") for n in range(50)]
            # At another place in each body.
            events[body * 7 % 50]["path"] = f"/{body}{noise}"
            append(other, events)
        wait_until(lambda: tally(other).get("received") == 50 * BODIES, "the other's events")

    journal.check()
    assert tally(other) == {"received": 1_000, "accepted": 980, "dead_letters": 20}
    letters = DeadLetter.objects.filter(tenant=other.tenant)
    assert {(letter.code, letter.idempotency_key) for letter in letters} == {
        ("storage_refused", f"v{body}.{body * 7 % 50}") for body in range(BODIES)
    }
    assert Event.objects.filter(tenant=other.tenant).count() == 980
    assert not LogEntry.objects.exists()
