"""When time alone changes a customer: once, at the instant that was said last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from entitlements.edge.due import Due

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_soonest_first_one_tenant_at_a_time_and_nobody_before_its_instant():
    due = Due()
    due.put(1, 11, NOON)
    due.put(2, 21, NOON)
    due.put(1, 12, NOON)
    due.put(1, 13, NOON + HOUR)
    assert due.take(NOON - HOUR, 10) is None
    assert due.take(NOON, 10) == (1, [11, 12])
    assert due.take(NOON, 10) == (2, [21])
    assert due.take(NOON, 10) is None
    assert due.take(NOON + HOUR, 10) == (1, [13])


def test_what_was_said_last_counts_however_often_it_was_said():
    due = Due()
    for at in (NOON, NOON + HOUR, NOON + HOUR):
        due.put(1, 11, at)
    assert due.take(NOON, 10) is None
    due.put(1, 11, NOON)
    assert due.take(NOON + HOUR, 10) == (1, [11])
    assert due.take(NOON + HOUR, 10) is None

    due.put(1, 11, NOON)
    due.put(1, 11, None)
    assert due.take(NOON, 10) is None


def test_no_more_than_asked_for_and_the_rest_the_next_time():
    due = Due()
    for customer in range(5):
        due.put(1, customer, NOON)
    assert [due.take(NOON, 2) for _ in range(4)] == [(1, [0, 1]), (1, [2, 3]), (1, [4]), None]
