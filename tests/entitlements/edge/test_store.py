"""A site's Redis: records by version, many at once, races, an emptied memory."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import permutations

import msgspec
import pytest
from redis import RedisError

from aforo.kernel.breaker import FAILURES_MAX
from entitlements.decision import Ask, Reason
from entitlements.edge import layout
from entitlements.edge.store import EdgeStore
from entitlements.records import KeyRecord, LeaseRecord, TenantRecord
from tests.entitlements.test_decision import CUSTOMER, FEATURE, NOW

TENANT = "acme_corp/live"
KNOWN = (TENANT, "cust_abc", "advanced_ai_search")


@pytest.fixture
def store(redis_empty) -> EdgeStore:
    store = EdgeStore(os.environ["REDIS_URL"])
    epoch = store.epoch_ensure()
    store.apply(
        [
            TenantRecord(tenant=TENANT, version=1, features={"advanced_ai_search": "metered"}),
            CUSTOMER,
            FEATURE,
        ]
    )
    assert store.synced(epoch=epoch, at_ms=NOW, is_complete=True)
    return store


@pytest.mark.promise("P82", "P89")
def test_a_decision_by_records(store):
    answer = store.decide(*KNOWN, Ask(1, NOW))
    assert (answer.decision.is_allowed, answer.decision.limit, answer.decision.remaining) == (
        True,
        1_000,
        450,
    )
    assert (answer.plan, answer.kind, answer.limit_type) == ("pro", "metered", "hard")
    # Edited: the next decision knows.
    store.apply([msgspec.structs.replace(FEATURE, version=2, limit=500)])
    assert store.decide(*KNOWN, Ask(1, NOW)).decision.reason is Reason.QUOTA_EXCEEDED


def test_an_older_record_never_replaces_a_newer_one_in_whatever_order_they_come(store):
    records = [msgspec.structs.replace(FEATURE, version=version, used=version) for version in (10, 11, 12)]
    for number, order in enumerate(permutations(records)):
        customer = f"cust_{number}"
        store.apply([msgspec.structs.replace(CUSTOMER, customer=customer)])
        for record in order:
            store.apply([msgspec.structs.replace(record, customer=customer)])
        assert store.decide(TENANT, customer, "advanced_ai_search", Ask(0, NOW)).decision.used == 12
    assert store.apply([records[0], records[2]]) == 2
    assert store.apply(records) == 0


def test_64_callers_at_once_take_exactly_what_the_lease_has(store):
    lease = LeaseRecord(lease=1, edge="central", epoch=store.meta().epoch, granted=450, settled=0)
    store.lease_apply(*KNOWN, FEATURE.window_start_ms, lease)

    def take(_: int) -> int:
        return sum(
            store.decide(*KNOWN, Ask(1, NOW, is_reserving=True)).decision.is_allowed for _ in range(20)
        )

    with ThreadPoolExecutor(64) as pool:
        # 1,280 asked for 450 units.
        assert sum(pool.map(take, range(64))) == 450
    assert store.decide(*KNOWN, Ask(0, NOW)).decision.used == 1_000
    assert store.wants_take(10) == [KNOWN]


def test_many_decisions_in_one_round_trip_are_those_of_each(store):
    asks = [("cust_abc", "advanced_ai_search", Ask(1, NOW)), ("nobody", "advanced_ai_search", Ask(1, NOW))]
    each = store.decide_each(TENANT, asks)
    assert [one.decision.reason for one in each] == [Reason.OK, Reason.UNKNOWN_CUSTOMER]


def test_emptied_within_the_second_in_which_it_was_trusted_the_policy_decides(store):
    assert store.decide(TENANT, "nobody", "advanced_ai_search", Ask(1, NOW)).decision.is_allowed is False
    store.redis.flushdb()
    for customer in ("nobody", "cust_abc"):
        decision = store.decide(TENANT, customer, "advanced_ai_search", Ask(1, NOW)).decision
        assert (decision.is_allowed, decision.is_stale) == (True, True)


def test_a_new_life_of_the_memory_has_another_name(store):
    before = store.epoch_ensure()
    assert store.epoch_ensure() == before
    store.redis.flushdb()
    # Who filled it before does not say that it is whole now.
    assert not store.synced(epoch=before, at_ms=NOW, is_complete=True)
    assert store.epoch_ensure() not in ("", before)
    assert not store.meta().is_complete


def test_a_lease_of_an_emptied_memory_is_not_put_into_the_new_one(store):
    lost = LeaseRecord(lease=1, edge="central", epoch=store.meta().epoch, granted=450, settled=0)
    store.redis.flushdb()
    epoch = store.epoch_ensure()
    store.apply([FEATURE])
    # By an answer that was on its way, and by a record.
    store.lease_apply(*KNOWN, FEATURE.window_start_ms, lost)
    assert store.lease_state(*KNOWN).granted == 0
    store.apply([msgspec.structs.replace(FEATURE, version=2, leases=(lost,))])
    assert store.lease_state(*KNOWN).granted == 0
    fresh = msgspec.structs.replace(lost, lease=2, epoch=epoch, granted=10)
    store.lease_apply(*KNOWN, FEATURE.window_start_ms, fresh)
    assert store.lease_state(*KNOWN).granted == 10


def test_a_record_does_not_say_whether_more_units_are_left(store):
    lease = LeaseRecord(
        lease=1, edge="central", epoch=store.meta().epoch, granted=0, settled=0, has_more=False
    )
    store.lease_apply(*KNOWN, FEATURE.window_start_ms, lease)
    told = msgspec.structs.replace(
        FEATURE, version=2, leases=(msgspec.structs.replace(lease, has_more=None),)
    )
    store.apply([told])
    # Nothing is left for this window: a caller is told to wait for its end, and not for the centre.
    decision = store.decide(*KNOWN, Ask(1, NOW, is_reserving=True)).decision
    assert decision.retry_after_s == -(-(FEATURE.window_end_ms - NOW) // 1000)


def test_a_connection_that_was_cut_and_scripts_that_were_forgotten_are_made_anew(store):
    for forget in (
        lambda: store.redis.script_flush(),
        lambda: store.redis.client_kill_filter(_type="normal", skipme=True),
    ):
        assert store.decide(*KNOWN, Ask(1, NOW)).decision.remaining == 450
        forget()
    assert store.decide(*KNOWN, Ask(1, NOW)).decision.remaining == 450


def test_a_server_that_hangs_is_waited_for_three_times_and_not_by_every_caller():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = EdgeStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.05)
        for _ in range(50):
            with pytest.raises(RedisError):
                store.decide(*KNOWN, Ask(1, NOW))
        silent.settimeout(0)
        came = 0
        with suppress(BlockingIOError):
            while silent.accept():
                came += 1
    assert came == FAILURES_MAX


def test_a_site_of_another_schema_is_taken_for_an_empty_one(store):
    store.redis.hset(layout.META, "schema", "0")
    assert store.meta().epoch == ""
    assert not store.meta().is_complete


def test_keys_and_wants_come_back_as_they_were_written(store):
    key = KeyRecord(
        public_id="AbCd1234", version=3, secret_hash="0" * 64, tenant=TENANT, key_id="k", scopes=("ingest",)
    )
    store.apply([key])
    assert store.api_key("AbCd1234") == key
    assert store.api_key("unknown0") is None
    odd = (TENANT, "cust\nof {two} lines", "advanced_ai_search")
    store.wants_add([odd])
    assert store.wants_take(5) == [odd]
