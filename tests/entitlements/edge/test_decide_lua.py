"""The script decides as the pure function does: generated cases, on the real server, every answer compared, and what is left behind."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from entitlements.decision import Held, Known, Reservation, decide, released, settled, told
from entitlements.edge import layout
from entitlements.edge.store import EdgeStore
from gateways.conformance.steps import CUSTOMER, FEATURE, TENANT, Answered, Asked, Ended, Step, Told, cases

CASES = 12_000


@pytest.fixture
def store(redis_empty) -> EdgeStore:
    store = EdgeStore(os.environ["REDIS_URL"])
    store.redis.hset(layout.META, mapping={"schema": "1", "epoch": "epoch"})
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
    made: list[str] = []
    reasons = set()
    for step in steps:
        match step:
            case Told():
                known = taken_over(store, customer, known, step)
            case Answered(lease, start):
                if lease.edge == store.edge:
                    store.lease_apply(TENANT, customer, FEATURE, start, lease)
                    known = replace(known, held=told(known.held, lease, start))
            case Asked(ask, site):
                monkeypatch.setattr(store, "site", lambda *_, site=site: site)
                monkeypatch.setattr(store, "_site_has_changed", lambda _: False)
                expected, known = decide(known, ask, site)
                assert store.decide(TENANT, customer, FEATURE, ask).decision == expected, (steps, step)
                reasons.add(str(expected.reason))
                if expected.reservation:
                    made.append(expected.reservation.id)
            case Ended(ago, is_settled, now_ms) if ago < len(made):
                id = made[-1 - ago]
                end = store.settle if is_settled else store.release
                was_open, held = (settled if is_settled else released)(known.held, id, now_ms)
                assert end(TENANT, customer, FEATURE, id, now_ms) == was_open, (steps, step)
                known = replace(known, held=held)
    assert held_at(store, customer) == sorted_open(known.held), steps
    assert throttled_at(store, customer) == known.throttled
    return reasons


def taken_over(store: EdgeStore, customer: str, known: Known, step: Told) -> Known:
    import msgspec

    records = [
        msgspec.structs.replace(record, customer=customer)
        for record in (step.customer, step.feature)
        if record
    ]
    store.apply(records)
    if step.customer and (known.customer is None or known.customer.version < step.customer.version):
        known = replace(known, customer=step.customer)
    if step.feature:
        for lease in step.feature.leases:
            if lease.edge == store.edge:
                known = replace(known, held=told(known.held, lease, step.feature.window_start_ms))
        if known.feature is None or known.feature.version < step.feature.version:
            known = replace(known, feature=step.feature)
    return known


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
