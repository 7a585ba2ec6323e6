"""Grants burnt down by hand, and what always holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from aforo.kernel.periods import Period
from entitlements.burndown import (
    Excess,
    Grant,
    Recurrence,
    burnt_down,
    left_for_next,
    recurrence_from,
    turning_points,
    windows_needed_since,
)

BERLIN = ZoneInfo("Europe/Berlin")


def on(month: int, day: int = 1, hour: int = 0) -> datetime:
    """Of 2026; month 13 is January 2027."""
    return datetime(2026 + (month - 1) // 12, (month - 1) % 12 + 1, day, hour, tzinfo=UTC)


def month_after(at: datetime) -> datetime:
    return on((at.year - 2026) * 12 + at.month + 1)


def month(number: int) -> Period:
    return Period(on(number), on(number + 1))


def grant(
    key: str,
    amount: int,
    *,
    priority: int = 100,
    begins: datetime | int = 1,
    ends: int | None = None,
    every: str = "",
    **fields: object,
) -> Grant:
    """begins, ends: instants, or the numbers of months."""
    effective_at = on(begins) if isinstance(begins, int) else begins
    recurrence = recurrence_from(effective_at, every, 1, ZoneInfo("UTC")) if every else None
    expires_at = None if ends is None else on(ends)
    return Grant(
        key,
        Decimal(amount),
        priority,
        effective_at,
        expires_at,
        effective_at,
        recurrence=recurrence,
        **fields,
    )


def excess(number: int, units: int, units_at: dict[datetime, int] | None = None) -> Excess:
    return Excess(
        month(number), Decimal(units), {at: Decimal(so_far) for at, so_far in (units_at or {}).items()}
    )


MID_JUNE = on(6, 15)


def test_what_ends_soonest_burns_first_and_the_rest_goes_on():
    # May is 120 over its limit: 100 from what ends in June, 20 from the other. 30 are left in June.
    burnt = burnt_down(
        [grant("open", 50), grant("until", 100, ends=6)], [excess(5, 120), excess(6, 0)], MID_JUNE
    )
    assert burnt.history[0].taken == {"until": Decimal(100), "open": Decimal(20)}
    assert burnt.left == {"open": Decimal(30), "until": Decimal(0)}
    assert burnt.extra_of(excess(6, 0).window) == 30


def test_priority_comes_before_everything():
    burnt = burnt_down([grant("late", 50, priority=1), grant("soon", 50, ends=12)], [excess(6, 60)], MID_JUNE)
    assert burnt.history[0].taken == {"late": Decimal(50), "soon": Decimal(10)}


def test_the_present_window_keeps_what_it_has_taken():
    # 40 over its limit so far, from 100: it has 40 + 60 units beside the limit, as at its start.
    burnt = burnt_down([grant("g", 100)], [excess(6, 40)], MID_JUNE)
    assert burnt.left == {"g": Decimal(60)}
    assert burnt.extra_of(excess(6, 40).window) == 100


def test_what_has_ended_or_not_begun_gives_nothing():
    burnt = burnt_down(
        [grant("over", 100, ends=6), grant("to come", 100, begins=7)], [excess(6, 10)], MID_JUNE
    )
    assert burnt.left == {"over": Decimal(0), "to come": Decimal(0)}
    assert burnt.history[0].uncovered == 10


def test_a_window_takes_nothing_from_a_grant_that_begins_when_it_is_over():
    burnt = burnt_down([grant("June's", 100, begins=6)], [excess(5, 40), excess(6, 0)], MID_JUNE)
    assert (burnt.history[0].uncovered, burnt.left) == (40, {"June's": Decimal(100)})


def test_a_grant_that_begins_pays_for_what_its_window_has_used():
    # 40 over on the 10th, nobody paid; 100 given on the 15th leave 60 for the rest of June.
    given_late = grant("late", 100, begins=MID_JUNE)
    assert burnt_down([given_late], [excess(6, 40)], MID_JUNE).left == {"late": Decimal(60)}


def test_a_grant_that_ends_inside_a_window_pays_for_what_was_used_before():
    # A ends on 10 June; June was 20 over by then and is 50 over on the 15th: 20 from A, 30 from B.
    ending = replace(grant("A", 100), expires_at=on(6, 10))
    burnt = burnt_down([ending, grant("B", 100)], [excess(6, 50, {on(6, 10): 20})], MID_JUNE)
    assert burnt.history[0].taken == {"A": Decimal(20), "B": Decimal(30)}
    # June may use 20 + 30 + the 70 that are left beside its limit.
    assert burnt.extra_of(month(6)) == 120


def test_where_usage_goes_down_again_no_more_is_taken_than_it_came_to():
    # A level that was 30 over on 10 June, when A ended, and is 10 over on the 15th.
    ending = replace(grant("A", 100), expires_at=on(6, 10))
    burnt = burnt_down([ending, grant("B", 100)], [excess(6, 10, {on(6, 10): 30})], MID_JUNE)
    assert (burnt.history[0].taken, burnt.left["B"]) == ({"A": Decimal(10)}, 100)


def test_revoked_it_keeps_what_was_taken_and_loses_the_rest():
    # April took 30 from A, which burns first as the older one. Revoked on 10 June, when June was 20 over: 50 of A were used
    # for good. B pays only for what June used later, 5; as if A had never been, B would have paid 55.
    a, b = grant("A", 100, begins=1), grant("B", 100, begins=2)
    revoked = replace(a, revoked_at=on(6, 10))
    used = [excess(4, 30), excess(5, 0), excess(6, 25, {on(6, 10): 20})]
    burnt = burnt_down([revoked, b], used, MID_JUNE)
    assert [one.taken for one in burnt.history] == [
        {"A": Decimal(30)},
        {},
        {"A": Decimal(20), "B": Decimal(5)},
    ]
    assert burnt.left == {"A": Decimal(0), "B": Decimal(95)}


def test_a_recurring_grant_as_the_module_tells_it():
    # docs: 100 every month from 15 March, of which at most 30 roll over.
    monthly = grant("g", 100, begins=on(3, 15), every="month", max_rollover=Decimal(30))
    march, april = excess(3, 20), excess(4, 45, {on(4, 15): 45})

    def left(*excesses: Excess, at: datetime) -> Decimal:
        return burnt_down([monthly], excesses, at).left["g"]

    assert left(excess(3, 0), at=on(3, 15)) == 100
    assert left(march, at=on(3, 31)) == 80
    assert left(march, excess(4, 0), at=on(4, 1)) == 30
    assert left(march, excess(4, 45), at=on(4, 10)) == 0
    # 15 April: 100, of which the 15 that were owed are taken at once.
    assert left(march, april, at=on(4, 15)) == 85
    assert left(march, april, excess(5, 0), at=on(5, 1)) == 30
    # April took 45 in all, and none is uncovered any more.
    burnt = burnt_down([monthly], [march, april, excess(5, 0)], on(5, 1))
    assert (burnt.history[1].taken, burnt.history[1].uncovered) == ({"g": Decimal(45)}, 0)
    # Seen from 10 April: if nothing more is used, 85 are left on 30 April and 30 on 1 May.
    assert left_for_next([monthly], [march, excess(4, 45)], on(5, 1)) == 30


def test_where_the_window_turns_as_it_recurs_it_has_its_amount():
    # Nothing of it rolls over, and it recurs on the first: 100 at the start of every month.
    monthly = grant("g", 100, every="month", max_rollover=Decimal(0))
    assert left_for_next([monthly], [excess(5, 70)], on(6)) == 100
    assert burnt_down([monthly], [excess(5, 70), excess(6, 0)], on(6)).left == {"g": Decimal(100)}
    # Without the recurrence nothing is left of its 30.
    once = replace(monthly, recurrence=None)
    assert left_for_next([once], [excess(1, 70)], on(2)) == 0


def test_what_rolls_over_lies_between_a_minimum_and_a_maximum():
    few = grant("g", 100, max_rollover=Decimal(30), min_rollover=Decimal(10))
    used = [excess(1, 95), excess(2, 0), excess(3, 0)]
    # January leaves 5, of which min(30, max(5, 10)) = 10 stay; February uses none of them.
    assert burnt_down([few], used, on(3)).left == {"g": Decimal(10)}
    # January leaves 80: 30 stay.
    assert burnt_down([few], [excess(1, 20), excess(2, 0)], on(2)).left == {"g": Decimal(30)}


def test_nothing_rolls_over_before_it_begins():
    later = grant("g", 100, begins=on(2, 10), max_rollover=Decimal(0), min_rollover=Decimal(0))
    assert burnt_down([later], [excess(1, 0), excess(2, 0)], on(2, 11)).left == {"g": Decimal(100)}
    assert left_for_next([later], [excess(1, 0)], on(2)) == 0


def test_a_recurrence_follows_the_calendar_of_its_zone():
    # 31 January, 09:00 in Berlin: the last day of shorter months, and 09:00 in summer too.
    monthly = recurrence_from(datetime(2026, 1, 31, 9, tzinfo=BERLIN), "month", 1, BERLIN)
    assert monthly.next_after(on(2, 1)) == datetime(2026, 2, 28, 8, tzinfo=UTC)
    assert monthly.next_after(on(4, 1)) == datetime(2026, 4, 30, 7, tzinfo=UTC)
    # Every other week from Thursday 1 January; an instant of it is followed by the next.
    fortnightly = recurrence_from(on(1, 1), "week", 2, ZoneInfo("UTC"))
    assert [fortnightly.next_after(at) for at in (on(1, 1), on(1, 14), on(1, 15))] == [
        on(1, 15),
        on(1, 15),
        on(1, 29),
    ]
    # Midnight comes 23 hours later on the day on which summer begins: 29 March.
    daily = recurrence_from(datetime(2026, 3, 28, tzinfo=BERLIN), "day", 1, BERLIN)
    assert daily.next_after(on(3, 29, 12)) == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_when_it_is_filled_next():
    monthly = grant("g", 100, begins=3, ends=5, every="month")
    assert [monthly.next_fill_at(at) for at in (on(1), on(3), on(4))] == [on(3), on(4), None]
    assert grant("once", 100, begins=3).next_fill_at(on(3)) is None
    assert replace(monthly, revoked_at=on(2)).next_fill_at(on(1)) is None


def test_windows_that_decide_nothing_any_more():
    a, b, c = grant("a", 1, begins=1, ends=4), grant("b", 1, begins=2, ends=6), grant("c", 1, begins=6)
    assert windows_needed_since([a, b, c], on(7)) == on(6)
    assert windows_needed_since([a, b, c], on(4)) == on(1)
    assert windows_needed_since([a, b], on(7)) is None


# Whatever is used, whenever: uses of hours of the first half of 2026 beyond a limit of 20 by month.

LIMIT = Decimal(20)
LENGTHS = st.integers(1, 24 * 120).map(lambda number: timedelta(hours=number))
hours = st.integers(0, 24 * 181 - 1).map(lambda number: on(1) + timedelta(hours=number))
uses = st.lists(st.tuples(hours, st.integers(1, 60)), max_size=20).map(sorted)


def recurring(start: datetime, unit: str, count: int) -> Recurrence:
    return recurrence_from(start, unit, count, BERLIN)


@st.composite
def a_grant(draw: st.DrawFn, begins: st.SearchStrategy[datetime]) -> Grant:
    effective_at = draw(begins)
    amount = draw(st.integers(0, 100))
    least = draw(st.integers(0, amount) | st.just(0))
    most = draw(st.none() | st.integers(least, 120))
    unit = draw(st.sampled_from(["", "day", "week", "month", "year"]))
    return Grant(
        key=str(draw(st.integers())),
        amount=Decimal(amount),
        priority=draw(st.integers(1, 3)),
        effective_at=effective_at,
        expires_at=draw(st.none() | LENGTHS.map(lambda length: effective_at + length)),
        created_at=on(1),
        revoked_at=draw(st.none() | hours),
        recurrence=recurring(effective_at, unit, draw(st.integers(1, 3))) if unit else None,
        max_rollover=None if most is None else Decimal(most),
        min_rollover=Decimal(least),
    )


def some(begins: st.SearchStrategy[datetime]) -> st.SearchStrategy[list[Grant]]:
    return st.lists(a_grant(begins), max_size=4, unique_by=lambda one: one.key)


def excesses_of(
    grants: Sequence[Grant], used: Sequence[tuple[datetime, int]], at: datetime, first: int = 1
) -> list[Excess]:
    """What the months up to an instant had used beyond the limit, at every turning point."""

    def over(window: Period, until: datetime) -> Decimal:
        units = sum(
            (Decimal(units) for moment, units in used if window.start <= moment < min(until, at)), Decimal(0)
        )
        return max(Decimal(0), units - LIMIT)

    windows = [month(number) for number in range(first, 7) if on(number) <= at]
    points = turning_points(grants, windows, at)
    return [
        Excess(
            window,
            over(window, window.end),
            {point: over(window, point) for point in points if point in window},
        )
        for window in windows
    ]


def one_by_one(
    grants: Sequence[Grant], used: Sequence[tuple[datetime, int]], at: datetime
) -> tuple[dict[str, Decimal], list[dict[str, Decimal]]]:
    """The same as the clock goes: the window turns, grants are filled, and every use is paid for by itself."""
    balances = {one.key: one.amount for one in grants}
    taken: list[dict[str, Decimal]] = []
    owed = so_far = Decimal(0)
    moments = {on(number) for number in range(1, 7)} | {moment for moment, _ in used}
    for one in grants:
        filled_at = on(1) - timedelta(hours=1)
        while (filled_at := one.next_fill_at(filled_at)) is not None and filled_at <= at:
            moments.add(filled_at)
    for moment in sorted(moment for moment in moments if moment <= at):
        if moment.day == 1 and moment.hour == 0:
            for one in grants:
                if one.effective_at < moment:
                    balances[one.key] = one.rolled_over(balances[one.key])
            taken.append({})
            owed = so_far = Decimal(0)
        for one in grants:
            if one.next_fill_at(moment - timedelta(hours=1)) == moment:
                balances[one.key] = one.amount
        if moment < at:
            units = sum((Decimal(units) for when, units in used if when == moment), Decimal(0))
            owed += max(Decimal(0), so_far + units - LIMIT) - max(Decimal(0), so_far - LIMIT)
            so_far += units
        for one in sorted(grants, key=lambda one: one.order):
            part = min(owed, balances[one.key])
            if one.is_alive(moment) and part:
                taken[-1][one.key] = taken[-1].get(one.key, Decimal(0)) + part
                balances[one.key] -= part
                owed -= part
    return {one.key: balances[one.key] if one.is_alive(at) else Decimal(0) for one in grants}, taken


@given(some(st.integers(1, 6).map(on)), uses, hours)
def test_it_comes_to_the_same_as_use_by_use(grants, used, at):
    # Of grants that begin with a month; one that begins later also pays for what its month has used before.
    burnt = burnt_down(grants, excesses_of(grants, used, at), at)
    left, taken = one_by_one(grants, used, at)
    assert (burnt.left, [one.taken for one in burnt.history]) == (left, taken)


@given(some(hours), uses, hours)
def test_parts_add_up_and_no_grant_gives_more_than_it_had(grants, used, at):
    excesses = excesses_of(grants, used, at)
    burnt = burnt_down(grants, excesses, at)
    for each, segment in zip(excesses, burnt.history, strict=True):
        assert sum(segment.taken.values()) + segment.uncovered == each.units
        assert all(units > 0 for units in segment.taken.values())
    for one in grants:
        fills, filled_at = 0, on(1) - timedelta(hours=1)
        while (filled_at := one.next_fill_at(filled_at)) is not None and filled_at <= at:
            fills += 1
        turns = sum(one.effective_at < each.window.start for each in excesses)
        taken = sum(segment.taken.get(one.key, 0) for segment in burnt.history)
        assert 0 <= burnt.left[one.key] <= one.amount
        assert taken + burnt.left[one.key] <= one.amount * fills + one.min_rollover * turns


@given(some(hours), uses, hours, hours)
def test_revoking_changes_nothing_of_before(grants, used, at, revoked_at):
    # At an instant at which nothing else happens.
    revoked_at += timedelta(minutes=30)
    grants = [replace(one, revoked_at=None) for one in grants]
    revoked = [replace(one, revoked_at=revoked_at) for one in grants[:1]] + grants[1:]
    assume(revoked_at <= at)
    before = burnt_down(grants, excesses_of(grants, used, revoked_at), revoked_at)
    after = burnt_down(revoked, excesses_of(revoked, used, at), at)
    whole = [one for one in before.history if one.window.end <= revoked_at]
    assert after.history[: len(whole)] == tuple(whole)
    if grants:
        assert after.left[grants[0].key] == 0
        # By then it had taken no more than it had taken before.
        key = grants[0].key
        assert [one.taken.get(key) for one in after.history[: len(before.history)]] == [
            one.taken.get(key) for one in before.history
        ]


@given(some(hours), uses, hours, hours)
def test_revoked_is_expired_where_the_order_is_the_same(grants, used, at, over_at):
    grants = [
        replace(one, priority=place, expires_at=None, revoked_at=over_at) for place, one in enumerate(grants)
    ]
    expired = [
        replace(one, expires_at=over_at, revoked_at=None) for one in grants if one.effective_at < over_at
    ]
    grants = [one for one in grants if one.effective_at < over_at]
    assert burnt_down(grants, excesses_of(grants, used, at), at) == burnt_down(
        expired, excesses_of(expired, used, at), at
    )


@given(some(hours), uses, hours)
def test_the_next_window_begins_with_what_was_said(grants, used, at):
    turns_at = month_after(at)
    said = left_for_next(grants, excesses_of(grants, used, at), turns_at)
    used = [(moment, units) for moment, units in used if moment < at]
    then = [*excesses_of(grants, used, turns_at)[: at.month], Excess(month(at.month + 1), Decimal(0))]
    burnt = burnt_down(grants, then, turns_at)
    assert burnt.extra_of(month(at.month + 1)) == said


@given(some(hours), uses, hours)
def test_earlier_windows_than_needed_change_nothing(grants, used, at):
    since = windows_needed_since(grants, on(at.month))
    excesses = excesses_of(grants, used, at)
    needed = [one for one in excesses if since is not None and one.window.end > since]
    assert burnt_down(grants, needed, at).left == burnt_down(grants, excesses, at).left


@given(some(st.integers(1, 6).map(on)), st.lists(st.integers(0, 300), max_size=6))
def test_without_recurrence_and_rollover_grants_are_simply_used_up(grants, needs):
    # Of grants that end with a month: lower priority first, then what expires soonest, each until it is empty.
    grants = [
        replace(
            one,
            recurrence=None,
            revoked_at=None,
            max_rollover=None,
            min_rollover=Decimal(0),
            expires_at=None if one.expires_at is None else month_after(one.expires_at),
        )
        for one in grants
    ]
    left = {one.key: one.amount for one in grants}
    for number, units in enumerate(needs, start=1):
        for one in sorted(grants, key=lambda one: one.order):
            if one.is_alive(on(number)):
                part = min(Decimal(units), left[one.key])
                left[one.key] -= part
                units -= part
    excesses = [excess(number, units) for number, units in enumerate(needs, start=1)]
    at = on(len(needs) + 1)
    alive = {one.key: left[one.key] if one.is_alive(at) else Decimal(0) for one in grants}
    assert burnt_down(grants, excesses, at).left == alive
