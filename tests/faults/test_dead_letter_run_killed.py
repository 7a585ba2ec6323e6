"""A Celery worker killed with SIGKILL while it replays dead letters."""

from __future__ import annotations

import pytest

from metering.batch import store
from metering.models import Bucket, DeadLetterRun
from metering.services.dead_letter_runs import (
    dead_letter_run_plan,
    dead_letter_run_queue,
    dead_letter_run_start,
)
from tests.metering.rows import call, submission, tally
from tests.workspaces import meter, workspace

from .programs import program, wait_until

LETTERS = 2_000
# Killed once so many letters were looked at; the next worker goes to the end.
KILLED_AT = 400
CELERY = ("-m", "celery", "-q", "-A", "aforo", "worker", "--concurrency", "1", "-l", "error")


@pytest.mark.slow
@pytest.mark.promise("P23", "P26", "P69")
@pytest.mark.django_db(transaction=True)
def test_each_letter_is_replayed_once_although_the_worker_dies(redis_empty):
    acme = workspace("acme_letters")
    store([submission(acme, [call(f"k{number}", metric="tokens") for number in range(LETTERS)])])
    meter(acme.tenant, "tokens")
    run = dead_letter_run_plan(tenant=acme.tenant, action="REPLAY", actor="ada", metric="tokens")
    dead_letter_run_start(tenant=acme.tenant, run_id=run.pk)

    def now() -> DeadLetterRun:
        return DeadLetterRun.objects.get(pk=run.pk)

    with program(*CELERY, "--without-mingle", "--without-gossip"):
        wait_until(lambda: now().done >= KILLED_AT, f"{KILLED_AT} letters")
    assert now().finished_at is None
    # Beat would take it up within a minute.
    dead_letter_run_queue(tenant=acme.tenant, run_id=run.pk)
    with program(*CELERY, "--without-mingle", "--without-gossip"):
        wait_until(lambda: now().finished_at is not None, "the end of the run")

    after = now()
    assert (after.status, after.done, after.outcomes) == ("COMPLETED", LETTERS, {"accepted": LETTERS})
    assert tally(acme) == {"received": LETTERS, "accepted": LETTERS}
    assert sum(Bucket.objects.filter(tenant=acme.tenant).values_list("count", flat=True)) == LETTERS
