"""The script decides as the pure function does: generated cases, on the real server, every answer compared, and what is left behind."""

from __future__ import annotations

import os
from dataclasses import replace

import msgspec
import pytest

from entitlements.decision import Held, Known, Reservation
from entitlements.edge import layout
from entitlements.edge.store import EdgeStore
from gateways.conformance.steps import (
    CUSTOMER,
    EPOCH,
    FEATURE,
    TENANT,
    Answered,
    Asked,
    Ended,
    Step,
    Told,
    cases,
    played,
)

CASES = 12_000


@pytest.fixture
def store(redis_empty) -> EdgeStore:
    store = EdgeStore(os.environ["REDIS_URL"])
    store.redis.hset(layout.META, mapping={"schema": "1", "epoch": EPOCH})
    return store


@pytest.mark.promise("P83", "P89")
@pytest.mark.slow
def test_the_script_decides_as_the_pure_function_does(store: EdgeStore, monkeypatch):
    reasons = set()
    for number, steps in enumerate(cases(CASES, seed=20260301)):
        reasons |= run(store, f"{CUSTOMER}{number}", steps, monkeypatch)
    # The cases reach every reason.
    assert reasons == {
        "OK", "NOT_ENTITLED", "QUOTA_EXCEEDED", "SUBSCRIPTION_INACTIVE", "WALLET_EMPTY", "MARGIN_BLOCK",
        "MARGIN_THROTTLE", "UNKNOWN_CUSTOMER", "UNKNOWN_FEATURE",
    }  # fmt: skip


def run(store: EdgeStore, customer: str, steps: list[Step], monkeypatch) -> set[str]:
    known = Known()
    reasons = set()
    for one in played(steps):
        known = one.after
        match one.step:
            case Told(told, feature):
                records = [record for record in (told, feature) if record]
                store.apply([msgspec.structs.replace(record, customer=customer) for record in records])
            case Answered(lease, start) if lease.edge == store.edge:
                store.lease_apply(TENANT, customer, FEATURE, start, lease)
            case Asked(ask, site):
                monkeypatch.setattr(store, "site", lambda *_, site=site: site)
                monkeypatch.setattr(store, "_site_has_changed", lambda _: False)
                assert store.decide(TENANT, customer, FEATURE, ask).decision == one.answer, (steps, one.step)
                reasons.add(str(one.answer.reason))
            case Ended(_, is_settled, now_ms) if one.reservation:
                end = store.settle if is_settled else store.release
                was_open = end(TENANT, customer, FEATURE, one.reservation, now_ms)
                assert was_open == one.answer, (steps, one.step)
    assert held_at(store, customer) == sorted_open(known.held), steps
    assert throttled_at(store, customer) == known.throttled
    return reasons


def held_at(store: EdgeStore, customer: str) -> Held:
    """What the site counts, read from its hash."""
    state = store.lease_state(TENANT, customer, FEATURE)
    key = layout.feature_key(TENANT, customer, FEATURE)
    more, loose = store.redis.hmget(key, "lm", "lo")
    open_ = store.redis.zrange(layout.reservations_key(TENANT, customer, FEATURE), 0, -1, withscores=True)
    return sorted_open(
        Held(
            lease=state.lease,
            window_start_ms=state.window_start_ms,
            granted=state.granted,
            returned=state.returned,
            settled=state.settled,
            taken=state.taken,
            has_more=more != b"0",
            loose=int(loose or 0),
            open=tuple(Reservation(id.decode(), int(at)) for id, at in open_),
        )
    )


def sorted_open(held: Held) -> Held:
    return replace(held, open=tuple(sorted(held.open, key=lambda one: one.id)))


def throttled_at(store: EdgeStore, customer: str) -> int:
    return int(store.redis.hget(layout.customer_key(TENANT, customer), "tc") or 0)
