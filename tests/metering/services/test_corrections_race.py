"""Corrections beside a writer that stores into the same hours: in the end buckets are what the events say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from aforo.kernel.clock import clock_at
from aforo.kernel.decimals import total
from aforo.kernel.periods import Period, instant_text
from metering.batch import store
from metering.models import Bucket
from metering.selectors.counted_events import counted_events
from metering.services.corrections import event_amend, event_void
from tests.metering.rows import call, submission
from tests.workspaces import meter, workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

RECEIVED_AT = datetime(2026, 4, 2, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)
HOURS, EVENTS = 12, 20


def test_corrections_while_a_writer_stores_into_the_same_hours():
    # Each hour gets two batches. The first one's events are corrected while the second is stored and not committed yet;
    # the second one's never are, so that no later correction would mend what an earlier one missed.
    acme = workspace()
    tokens = meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    highest = meter(acme.tenant, "highest", "MAX", event_name="api.call")
    is_stored = [threading.Event() for _ in range(HOURS)]

    def write() -> None:
        for hour in range(HOURS):
            for batch in ("a", "b"):
                with transaction.atomic():
                    store([submission(acme, events(hour, batch))])
                    # What the writer still does before it commits.
                    time.sleep(0.03)
                is_stored[hour].set()

    def correct(word: str) -> None:
        for hour in range(HOURS):
            is_stored[hour].wait(30)
            of = {"tenant": acme.tenant, "reason": "A race.", "actor": "test"}
            if word == "amend":
                event_amend(**of, key=f"{hour}a19", changes={"quantity": 1})
            else:
                event_void(**of, key=f"{hour}a18")

    together(write, lambda: correct("amend"), lambda: correct("void"))

    for hour in range(HOURS):
        start = MIDNIGHT + timedelta(hours=hour)
        quantities = [
            event.quantity
            for event in counted_events(
                tenant=acme.tenant,
                customer_id=acme.customer.pk,
                metric="api.call",
                pieces=[Period(start, start + timedelta(hours=1))],
            )
        ]
        bucket = Bucket.objects.get(meter=tokens, hour=start)
        assert (bucket.count, bucket.sum) == (len(quantities), total(quantities)), hour
        # 0 + 1 + … + 19 = 190 of each batch; of the first, 19 became 1 and 18 is gone.
        assert (bucket.count, bucket.sum) == (39, 190 + 190 - 18 - 18), hour
        assert Bucket.objects.get(meter=highest, hour=start).max == 19


def events(hour: int, batch: str) -> list[dict[str, object]]:
    start = MIDNIGHT + timedelta(hours=hour)
    return [
        call(f"{hour}{batch}{number}", number, timestamp=instant_text(start + timedelta(minutes=number)))
        for number in range(EVENTS)
    ]


def together(*works: Callable[[], None]) -> None:
    """Do all at once, each in a thread with a connection of its own; all must come to their end."""
    ended = []

    def run(work: Callable[[], None]) -> None:
        try:
            with clock_at(RECEIVED_AT):
                work()
            ended.append(work)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == len(works)
