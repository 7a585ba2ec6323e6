"""Cases for a decision: what a site is told and asked, step by step, made from a seed; boundaries come often."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entitlements.decision import Ask, Site
from entitlements.records import CustomerRecord, FeatureRecord, LeaseRecord

TENANT, CUSTOMER, FEATURE = "acme_corp/live", "cust_abc", "search"
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
        self._now_ms = START_MS + chance.choice([0, 1, MONTH_MS // 2, MONTH_MS - 1, MONTH_MS])
        self._limit = chance.choice([0, 1, 2, 3, 10, 1_000, LARGE])
        self._granted = 0
        self._settled = 0

    def later(self) -> int:
        self._now_ms += self._chance.choice(
            [0, 1, 999, 1_000, 60_000, 60_001, MONTH_MS - 1, MONTH_MS, 3 * MONTH_MS]
        )
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
        kind: Any = some.choice(["metered"] * 8 + ["boolean", "static"])
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
            used=0 if limit is None else max(0, some.choice([0, 1, limit - 2, limit - 1, limit, limit + 1])),
            places=some.choice([0, 2]),
            window_start_ms=start,
            window_end_ms=end,
            next_window_end_ms=following,
            next_limit=some.choice([None, limit]) if following else None,
            plan=some.choice(["", "gold"]),
            leases=(self._lease(),) if some.random() < 0.5 else (),
            is_removed=some.random() < 0.03,
        )

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
            edge=some.choice(["central", "central", "central", "berlin"]),
            epoch="epoch",
            granted=granted,
            settled=min(granted, self._settled),
            has_more=some.random() < 0.7,
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
        quantity = some.choice([0, 1, 1, 1, 2, 3, self._limit, max(0, self._limit - 1), self._limit + 1])
        ask = Ask(
            quantity=quantity,
            now_ms=self.later(),
            is_reserving=some.random() < 0.6,
            ttl_ms=some.choice([1, 1_000, 60_000, 3_600_000]),
            nonce=f"n{some.randrange(10**9)}",
        )
        return Asked(ask, site)

    def _next_version(self) -> int:
        # A quarter come late.
        self._version += self._chance.choice([1, 1, 2, -1])
        return max(1, self._version)
