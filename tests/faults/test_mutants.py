"""Known mistakes are found: each is made on purpose, and the check names the keys that it costs or doubles."""

from __future__ import annotations

import os
import signal

import pytest
from django.db import connection
from django.test import override_settings

from aforo.runtime.valkey import command
from metering.models import Event

from .journal import Journal, Sender, by_http, keys_of
from .programs import program, wait_until, web
from .test_log import power_cut_and_back

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

VARIANTS = ("-m", "tests.faults.variants")


def run_storm(journal: Journal, variant: str, kills: int) -> None:
    with Sender(journal, pause_s=0.01), program(*VARIANTS, variant, str(kills)) as storm:
        assert storm.wait(timeout=60) == 0


@pytest.fixture
def no_unique_identity(transactional_db):
    """The table of identities lacks its key."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metering_identity DROP CONSTRAINT metering_identity_pkey")
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE metering_identity; ALTER TABLE metering_identity ADD PRIMARY KEY (tenant_id, identity)"
        )


def test_a_writer_that_acknowledges_before_it_commits_loses_events(journal):
    run_storm(journal, "position-first", 15)

    findings = journal.findings()
    assert findings.lost
    assert set(findings.lost) <= set(keys_of(journal.sent))
    assert findings.doubled == []


def test_a_web_server_that_answers_before_it_appends_loses_events(journal):
    with web("tests.faults.answers_first:application") as server:
        journal.deliver = by_http(server.url, journal.to)
        with Sender(journal, pause_s=0.01):
            wait_until(lambda: len(journal.sent) > 20, "sending")
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
            killed_at = len(journal.sent)
            wait_until(lambda: len(journal.sent) > killed_at + 20, "the next worker")
    findings = journal.findings()
    # Of the bodies that were answered before the kill.
    assert set(findings.lost) & set(keys_of(range(killed_at)))
    assert findings.doubled == []


def test_a_log_that_syncs_every_second_loses_events_in_a_power_cut(journal, disk, log_on_disk):
    command(log_on_disk.admin_url, "CONFIG", "SET", "appendfsync", "everysec")
    with override_settings(LOG_APPENDFSYNC="everysec"):
        with Sender(journal, pause_s=0.001):
            wait_until(lambda: len(journal.sent) > 300, "sending")
            power_cut_and_back(disk, log_on_disk)
        assert "log-everysec" in journal.durabilities

        command(log_on_disk.admin_url, "CONFIG", "SET", "appendfsync", "everysec")
        findings = journal.findings()

    assert findings.lost
    assert findings.doubled == []
    # One stretch of whole bodies, up to the cut; the body after it sends one of their events again.
    bodies = sorted({int(key[1:].partition(".")[0]) for key in findings.lost})
    assert findings.lost == sorted(set(keys_of(bodies)) - {f"k{bodies[-1]}.0"})
    assert bodies == list(range(bodies[0], bodies[-1] + 1))


@pytest.mark.promise("P22")
def test_a_batch_that_comes_twice_counts_once(journal):
    run_storm(journal, "position-last", 15)

    journal.check()


def test_without_a_unique_identity_a_batch_that_comes_twice_is_doubled(no_unique_identity, journal):
    run_storm(journal, "position-last", 15)

    findings = journal.findings()
    assert findings.lost == []
    # Not only the events that were sent twice, which are the first of their bodies: whole batches.
    assert {key for key in findings.doubled if not key.endswith(".0")}
    assert set(findings.doubled) <= set(keys_of(journal.sent))


def test_with_the_timestamp_in_the_identity_a_retry_without_one_is_doubled(journal):
    with Sender(journal, pause_s=0.01), program(*VARIANTS, "timestamp-in-identity"):
        wait_until(lambda: Event.objects.count() > 20 * 47, "some bodies in the store")

    findings = journal.findings()
    assert findings.lost == []
    # The one event of each body that the next body sends again.
    assert findings.doubled
    assert all(key.endswith(".0") for key in findings.doubled)
