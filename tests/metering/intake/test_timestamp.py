"""Time rules, with the boundaries exact to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aforo.kernel.periods import instant_text
from metering.event import Accepted
from metering.intake.timestamp import NoInstant, instant_of

from ..builders import FULL, RECEIVED_AT, accepted, event, fields_in_error, refused, verdicts

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


def at(distance: timedelta) -> dict[str, Any]:
    return event(timestamp=instant_text(RECEIVED_AT + distance))


def is_late(distance: timedelta) -> bool:
    (verdict,) = verdicts(at(distance))
    assert isinstance(verdict, Accepted)
    return verdict.is_late


@pytest.mark.promise("P24", "P99")
def test_five_minutes_ahead_are_accepted_and_more_is_not() -> None:
    limit = timedelta(minutes=5)
    assert accepted(at(limit)).timestamp == RECEIVED_AT + limit
    assert not is_late(limit)
    for more in (MICROSECOND, SECOND, timedelta(days=3000)):
        assert refused(at(limit + more)).refusal.code == "timestamp_in_future"


@pytest.mark.promise("P68", "P99")
def test_ninety_days_are_accepted_and_more_is_not() -> None:
    limit = timedelta(days=90)
    assert accepted(at(-limit)).timestamp == RECEIVED_AT - limit
    for more in (MICROSECOND, SECOND, timedelta(days=20_000)):
        assert refused(at(-limit - more)).refusal.code == "timestamp_too_old"


@pytest.mark.promise("P25", "P99")
def test_twenty_four_hours_are_not_late_and_more_is() -> None:
    assert not is_late(-timedelta(hours=24))
    assert is_late(-timedelta(hours=24) - MICROSECOND)
    assert is_late(-timedelta(hours=24) - SECOND)
    assert is_late(-timedelta(days=90))


@pytest.mark.promise("P24")
def test_a_refusal_says_the_numbers_that_matter() -> None:
    future = refused(at(timedelta(minutes=5, seconds=1))).refusal
    assert future.detail == "2026-03-15T12:05:01Z is 301 seconds after receipt; up to 5 minutes are accepted."
    assert future.facts == {"ahead_s": 301, "ahead_s_max": 300}
    old = refused(event(timestamp="2025-10-26T12:00:00Z")).refusal
    assert old.detail == "2025-10-26T12:00:00Z is 140 days before receipt; up to 90 are accepted."
    assert (old.facts["age_days"], old.facts["age_days_max"]) == (140, 90)
    just = refused(at(-timedelta(days=90, seconds=1))).refusal
    assert "is 90 days and 1 second before receipt" in just.detail


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-15T11:00:00Z",
        "2026-03-15t11:00:00z",
        "2026-03-15 11:00:00Z",
        "2026-03-15T11:00:00.000Z",
        "2026-03-15T11:00:00.0000000000Z",
        "2026-03-15T16:30:00+05:30",
        "2026-03-15T01:00:00-10:00",
        1773572400000,
        Decimal("1773572400000"),
    ],
)
def test_one_instant_in_many_spellings(written: Any) -> None:
    instant = instant_of(written)
    assert instant == datetime(2026, 3, 15, 11, tzinfo=UTC)
    assert instant.tzinfo is UTC


def test_finer_than_a_microsecond_is_cut_off_so_that_a_month_keeps_its_last_instant() -> None:
    last = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert instant_of("2026-03-31T23:59:59.999999999Z") == last
    assert instant_of("2026-04-01T05:29:59.999999999+05:30") == last
    assert instant_of(Decimal("1773572400000.0019")).microsecond == 1


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-15T11:00:00",  # naive
        "2026-03-15 11:00:00.5",
        "2026-03-15",
        "2026-03-15T23:59:60Z",  # a leap second has no place in the calendar of the store
        "2026-02-29T00:00:00Z",
        "2026-03-15T24:00:00Z",
        "2026-03-15T11:00:00+25:00",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "yesterday",
        "",
        "1773572400000",
        "٢٠٢٦-03-15T11:00:00Z",
        "2026-03-15T11:00:00Z" * 100,
        10**30,
        -(10**30),
        Decimal("1E+400"),
        True,
        [],
        {},
    ],
)
def test_what_is_no_instant_is_refused(written: Any) -> None:
    with pytest.raises(NoInstant):
        instant_of(written)


def test_garbage_in_an_event_is_a_refusal_of_its_field() -> None:
    for written in ("2026-03-15T11:00:00", "9999-12-31T23:59:59-01:00", 10**30, True, [], ""):
        assert fields_in_error(refused(event(timestamp=written))) == {"timestamp"}
    assert refused(event(timestamp="9999-12-31T23:59:59Z")).refusal.code == "timestamp_in_future"
    assert refused(event(timestamp=0)).refusal.code == "timestamp_too_old"
    # Seconds taken for milliseconds fall into January 1970, which the sentence shows.
    assert "1970-01-21" in refused(event(timestamp=1773572400)).refusal.detail


def test_the_clock_is_the_one_of_receipt_whatever_its_zone() -> None:
    from datetime import timezone

    kolkata = RECEIVED_AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert verdicts(FULL, received_at=kolkata) == verdicts(FULL)
    assert accepted(event(timestamp=...), received_at=kolkata).timestamp.tzinfo is UTC


def test_an_event_of_the_future_is_judged_when_it_is_replayed() -> None:
    ahead = event(timestamp=instant_text(RECEIVED_AT + timedelta(hours=1)))

    assert refused(ahead).refusal.code == "timestamp_in_future"
    assert accepted(ahead, judged_at=RECEIVED_AT + timedelta(hours=2)).timestamp == RECEIVED_AT + timedelta(
        hours=1
    )
