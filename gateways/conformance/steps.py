"""Cases for a decision: what a site is told and asked, step by step, made from a seed; boundaries come often."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from entitlements.decision import Ask, Decision, Known, Site, decide, released, settled, told
from entitlements.records import CustomerRecord, FeatureRecord, LeaseRecord

TENANT, CUSTOMER, FEATURE = "acme_corp/live", "cust_abc", "search"
EDGE, EPOCH = "central", "epoch"
MONTH_MS = 31 * 86_400_000
START_MS = 1_772_323_200_000
# The sums of a few of them stay below 2^53, up to which a number in Lua is whole.
LARGE = 2**50


@dataclass(frozen=True)
class Told:
    """The site takes records over."""

    customer: CustomerRecord | None = None
    feature: FeatureRecord | None = None


@dataclass(frozen=True)
class Answered:
    """The centre answers about the lease."""

    lease: LeaseRecord
    window_start_ms: int | None


@dataclass(frozen=True)
class Asked:
    ask: Ask
    site: Site


@dataclass(frozen=True)
class Ended:
    """The reservation made so many decisions ago, counted from 0, is settled or released."""

    ago: int
    is_settled: bool
    now_ms: int


Step = Told | Answered | Asked | Ended


@dataclass(frozen=True)
class Played:
    """A step, what the site EDGE knows before and after it, and what the pure functions answer.

    answer: the decision; or whether the reservation was open. reservation: the id of the one that ends; "" where no such
    one was made.
    """

    step: Step
    before: Known
    after: Known
    answer: Decision | bool | None = None
    reservation: str = ""


def played(steps: Iterable[Step]) -> Iterator[Played]:
    known = Known()
    made: list[str] = []
    for step in steps:
        one = _played(known, step, made)
        if isinstance(one.answer, Decision) and one.answer.reservation:
            made.append(one.answer.reservation.id)
        known = one.after
        yield one


def _played(known: Known, step: Step, made: list[str]) -> Played:
    match step:
        case Told():
            return Played(step, known, _taken_over(known, step))
        case Answered(lease, start) if lease.edge == EDGE:
            return Played(step, known, replace(known, held=told(known.held, lease, start, has_usage=False)))
        case Asked(ask, site):
            decision, after = decide(known, ask, site)
            return Played(step, known, after, decision)
        case Ended(ago, is_settled, now_ms) if ago < len(made):
            id = made[-1 - ago]
            was_open, held = (settled if is_settled else released)(known.held, id, now_ms)
            return Played(step, known, replace(known, held=held), was_open, id)
    return Played(step, known, known)


def _taken_over(known: Known, records: Told) -> Known:
    """Records that come late change nothing."""
    customer, feature = records.customer, records.feature
    if customer and (known.customer is None or known.customer.version < customer.version):
        known = replace(known, customer=customer)
    if feature:
        for lease in feature.leases:
            if lease.edge == EDGE:
                known = replace(known, held=told(known.held, lease, feature.window_start_ms))
        if known.feature is None or known.feature.version < feature.version:
            known = replace(known, feature=feature)
    return known


def cases(count: int, seed: int) -> Iterator[list[Step]]:
    """Cases of two to nine steps."""
    chance = random.Random(seed)
    for number in range(count):
        yield list(_case(chance, number))


def _case(chance: random.Random, number: int) -> Iterator[Step]:
    maker = _Maker(chance, number)
    yield Told(
        maker.customer() if chance.random() < 0.95 else None,
        maker.feature() if chance.random() < 0.93 else None,
    )
    if chance.random() < 0.6:
        yield maker.answered()
    for _ in range(chance.randint(1, 7)):
        kind = chance.random()
        if kind < 0.62:
            yield maker.asked()
        elif kind < 0.8:
            yield Ended(chance.randint(0, 2), chance.random() < 0.5, maker.later())
        elif kind < 0.9:
            yield Told(maker.customer() if chance.random() < 0.5 else None, maker.feature())
        else:
            yield maker.answered()


class _Maker:
    def __init__(self, chance: random.Random, number: int) -> None:
        self._chance = chance
        self._number = number
        self._version = 1
        # Left to chance alone, one ask in two hundred would take units of a lease.
        self._is_of_leases = chance.random() < 0.3
        self._now_ms = START_MS + chance.choice([0, 1, MONTH_MS // 2, MONTH_MS - 1, MONTH_MS])
        self._limit = chance.choice(
            [10, 1_000, LARGE] if self._is_of_leases else [0, 1, 2, 3, 10, 1_000, LARGE]
        )
        self._granted = 0
        self._settled = 0

    def later(self) -> int:
        small, large = [0, 1, 999, 1_000, 60_000, 60_001], [MONTH_MS - 1, MONTH_MS, 3 * MONTH_MS]
        is_small = self._is_of_leases and self._chance.random() < 0.8
        self._now_ms += self._chance.choice(small if is_small else small + large)
        return self._now_ms

    def customer(self) -> CustomerRecord:
        some = self._chance
        return CustomerRecord(
            tenant=TENANT,
            customer=CUSTOMER,
            version=self._next_version(),
            as_of_ms=START_MS,
            is_active=some.random() < 0.95,
            plan=some.choice(["", "pro"]),
            is_wallet_empty=some.random() < 0.04,
            margin_level=some.choice([0, 0, 1, 2, 3]),
            margin_action=some.choice(
                ["none", "none", "none", "warn", "throttle", "throttle", "downgrade", "block"]
            ),
            throttle_percent=some.choice([0, 1, 25, 33, 50, 99, 100]),
            retry_after_s=some.choice([0, 60, 1_800]),
            downgrades=some.choice([{}, {"gpt-4o": "gpt-4o-mini"}]),
            is_removed=some.random() < 0.03,
        )

    def feature(self) -> FeatureRecord:
        some = self._chance
        end: int | None = START_MS + MONTH_MS
        kind: Any = some.choice(["metered"] * 8 + ["boolean", "static"] * (not self._is_of_leases))
        limit = some.choice([None, self._limit, self._limit, self._limit]) if kind == "metered" else None
        start: int | None = START_MS
        following = some.choice([None, START_MS + 2 * MONTH_MS - 1_000])
        if some.random() < 0.1:
            start, end, following = some.choice([(None, None, None), (START_MS, None, None)])
        return FeatureRecord(
            tenant=TENANT,
            customer=CUSTOMER,
            feature=FEATURE,
            version=self._next_version(),
            as_of_ms=START_MS,
            kind=kind,
            value="42" if kind == "static" else None,
            limit=limit,
            limit_type=some.choice(["hard", "hard", "hard", "soft"]),
            used=self._used(limit),
            places=some.choice([0, 2]),
            window_start_ms=start,
            window_end_ms=end,
            next_window_end_ms=following,
            next_limit=some.choice([None, limit]) if following else None,
            plan=some.choice(["", "gold"]),
            leases=(self._lease(),) if some.random() < 0.5 else (),
            is_removed=some.random() < 0.03,
        )

    def _used(self, limit: int | None) -> int:
        if limit is None:
            return 0
        if self._is_of_leases:
            return self._chance.choice([0, 1, limit // 2])
        return max(0, self._chance.choice([0, 1, limit - 2, limit - 1, limit, limit + 1]))

    def answered(self) -> Answered:
        start = self._chance.choice([START_MS, START_MS, START_MS, START_MS + MONTH_MS, None])
        return Answered(self._lease(), start)

    def _lease(self) -> LeaseRecord:
        some = self._chance
        self._granted += some.choice([0, 1, 2, 5, 100, self._limit // 4])
        self._settled += some.choice([0, 0, 0, 1])
        granted = some.choice([self._granted, self._granted // 2])
        return LeaseRecord(
            lease=some.choice([7, 7, 7, 8, 6]),
            edge=some.choice([EDGE, EDGE, EDGE, "berlin"]),
            epoch=EPOCH,
            granted=granted,
            settled=min(granted, self._settled),
            has_more=some.choice([True, True, False, None]),
        )

    def asked(self) -> Asked:
        some = self._chance
        site = Site(
            is_complete=some.random() < 0.9,
            age_ms=some.choice([0, 0, 10_000, 10_001, 60_000, 60_001]),
            on_unknown=some.choice(["allow", "deny"]),
            max_stale_ms=60_000,
            is_feature_known=some.random() < 0.95,
        )
        around = [self._limit, max(0, self._limit - 1), self._limit + 1]
        quantity = some.choice([0, 1, 1, 1, 2, 3] + around * (not self._is_of_leases))
        ask = Ask(
            quantity=quantity,
            now_ms=self.later(),
            is_reserving=some.random() < (0.85 if self._is_of_leases else 0.6),
            ttl_ms=some.choice([1, 1_000, 60_000, 3_600_000]),
            nonce=f"n{some.randrange(10**9)}",
        )
        return Asked(ask, site)

    def _next_version(self) -> int:
        # A quarter come late.
        self._version += self._chance.choice([1, 1, 2, -1])
        return max(1, self._version)
