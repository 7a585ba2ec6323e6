"""Vectors that are not left to chance: what a reader looks for first, and bounds that chance seldom meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from entitlements.decision import Ask, Held, Known, Reservation, Site
from entitlements.records import CustomerRecord, FeatureRecord, LeaseRecord

from .steps import (
    CUSTOMER,
    EDGE,
    EPOCH,
    FEATURE,
    MONTH_MS,
    START_MS,
    TENANT,
    Answered,
    Asked,
    Ended,
    Told,
    played,
)
from .vector import Names, Place, Vector, decision_vector, end_vector, place_of

NOW_MS = START_MS + MONTH_MS // 2
BUYER = CustomerRecord(tenant=TENANT, customer=CUSTOMER, version=3, as_of_ms=START_MS, plan="pro")
QUOTA = FeatureRecord(
    tenant=TENANT,
    customer=CUSTOMER,
    feature=FEATURE,
    version=4,
    as_of_ms=START_MS,
    kind="metered",
    limit=1_000,
    used=550,
    window_start_ms=START_MS,
    window_end_ms=START_MS + MONTH_MS,
)
KNOWN = Known(BUYER, QUOTA)
WHOLE = place_of(Site(), QUOTA, NOW_MS)
LOOK = Ask(1, NOW_MS)
TAKE = Ask(4, NOW_MS, is_reserving=True, nonce="n1")


def by_hand() -> Iterator[Vector]:
    yield decision_vector("1,000 a month, 550 used: 450 remain", KNOWN, LOOK, WHOLE)
    odd = Names(customer="cust\nof {two} lines, é")
    yield decision_vector("a customer's name may hold anything", KNOWN, LOOK, WHOLE, odd)
    yield from of_sites()
    yield from of_throttling()
    yield from of_windows()
    yield from of_leases()
    yield from of_reservations()


def of_sites() -> Iterator[Vector]:
    yield decision_vector("an emptied site", Known(), LOOK, Place({}, None))
    other = Place({**WHOLE.meta, "schema": "0"}, WHOLE.tenant)
    yield decision_vector("a site of another schema counts as an emptied one", Known(), LOOK, other)
    # 6 s are no stale answer, but more than this tenant lets count.
    old = place_of(Site(age_ms=6_000, max_stale_ms=5_000, on_unknown="deny"), QUOTA, NOW_MS)
    yield decision_vector("older than the policy lets count: stale before ten seconds", KNOWN, LOOK, old)


def of_throttling() -> Iterator[Vector]:
    throttled = msgspec.structs.replace(
        BUYER, margin_level=2, margin_action="throttle", throttle_percent=33, retry_after_s=60
    )
    for calls in range(7):
        # A third, evenly: floor(33 n / 100) grows with the 4th and the 7th call.
        known = Known(throttled, QUOTA, throttled=calls)
        yield decision_vector(f"throttled by 33 percent, call {calls + 1}", known, LOOK, WHOLE)


def of_windows() -> Iterator[Vector]:
    """The window of a month is followed by one of 30 days, with 2,000 units."""
    following = START_MS + MONTH_MS + 30 * 86_400_000
    feature = msgspec.structs.replace(QUOTA, next_window_end_ms=following, next_limit=2_000)
    for name, now_ms in (
        ("the last millisecond of a window", START_MS + MONTH_MS - 1),
        ("the first of the next", START_MS + MONTH_MS),
        ("the last that the record knows of", following - 1),
        ("the first beyond: windows go on by the last one's length", following),
    ):
        look = Ask(1, now_ms)
        yield decision_vector(name, Known(BUYER, feature), look, place_of(Site(), feature, now_ms))


def of_leases() -> Iterator[Vector]:
    """100 units granted, 10 given back, 30 taken and 20 of those in the bill: 60 are free, of 70 that are not in it."""
    held = Held(lease=7, window_start_ms=START_MS, granted=100, returned=10, settled=20, taken=30)
    known = replace(KNOWN, held=held)
    for units, said in (
        (25, "35 are left, half of 70: not low"),
        (26, "34 are left: low"),
        (60, "none is left"),
        (61, "refused, and the centre has more: again in a second"),
    ):
        yield decision_vector(
            f"{units} of 60 free units: {said}", known, replace(TAKE, quantity=units), WHOLE
        )
    dry = replace(known, held=replace(held, has_more=False))
    yield decision_vector(
        "61 of 60 free units: refused, and the centre has none: until the window ends",
        dry,
        replace(TAKE, quantity=61),
        WHOLE,
    )


def of_reservations() -> Iterator[Vector]:
    lease = LeaseRecord(lease=7, edge=EDGE, epoch=EPOCH, granted=100, settled=0)
    settle, release = (Ended(0, is_settled, NOW_MS + 1_000) for is_settled in (True, False))
    begin = (Told(BUYER, QUOTA), Answered(lease, START_MS), Asked(TAKE, Site()))
    _, _, taken, ended = played((*begin, settle))
    yield decision_vector("4 units of a lease of 100", taken.before, TAKE, WHOLE)
    yield end_vector("they are settled", ended, settle)
    *_, ended = played((*begin, release))
    yield end_vector("they are released", ended, release)
    # At this instant three expire: 5 units of the lease, 3 of an earlier one that no longer counts, 2 of none.
    open_ = (
        Reservation("7.5.a", NOW_MS),
        Reservation("6.3.b", NOW_MS),
        Reservation("0.2.c", NOW_MS),
        Reservation("7.1.d", NOW_MS + 1),
    )
    held = Held(lease=7, window_start_ms=START_MS, granted=100, taken=20, loose=9, open=open_)
    yield decision_vector("what has expired is given back", replace(KNOWN, held=held), LOOK, WHOLE)
