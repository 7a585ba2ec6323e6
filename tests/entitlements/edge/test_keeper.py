"""The keeper of a site's leases, against a centre that counts how often it is asked."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

from entitlements.decision import Ask, Reason
from entitlements.edge import keeper as keepers
from entitlements.edge.keeper import Keeper
from entitlements.edge.store import EdgeStore
from entitlements.records import LeaseRecord, TenantRecord
from entitlements.renewals import LeaseReply, LeaseRequest
from tests.entitlements.test_decision import CUSTOMER, FEATURE, NOW

NAME = ("acme_corp/live", "cust_abc", "advanced_ai_search")


class Centre:
    """Hands out 2 units once; the others are at a site that is gone."""

    def __init__(self) -> None:
        self.asked: list[LeaseRequest] = []

    def renew(self, tenant, edge, epoch, requests):
        self.asked += requests
        lease = LeaseRecord(lease=7, edge=edge, epoch=epoch, granted=2, settled=0, has_more=True)
        return [LeaseReply(one.customer, one.feature, FEATURE.window_start_ms, lease) for one in requests]


@pytest.fixture
def store(redis_empty) -> EdgeStore:
    store = EdgeStore(os.environ["REDIS_URL"])
    epoch = store.epoch_ensure()
    store.apply([TenantRecord(tenant=NAME[0], version=1, features={NAME[2]: "metered"}), CUSTOMER, FEATURE])
    assert store.synced(epoch=epoch, at_ms=NOW, is_complete=True)
    return store


def reserved(store: EdgeStore) -> Reason:
    return store.decide(*NAME, Ask(1, NOW, is_reserving=True)).decision.reason


def test_a_dry_lease_asks_again_after_a_pause_however_many_are_refused(store, monkeypatch):
    monkeypatch.setattr(keepers, "DRY_PAUSE_S", 2.0)
    centre = Centre()
    keeper = Keeper(store, centre)
    # Dry from the start: asked for, and given 2 units.
    assert reserved(store) is Reason.QUOTA_EXCEEDED
    keeper.turn()
    assert [reserved(store) for _ in range(3)] == [Reason.OK, Reason.OK, Reason.QUOTA_EXCEEDED]
    # Asked for once more; there is nothing. 50 callers are refused meanwhile, and the centre hears of none of them.
    keeper.turn()
    assert len(centre.asked) == 2
    for _ in range(50):
        reserved(store)
        keeper.turn()
    assert len(centre.asked) == 2
    # What is wanted is not forgotten.
    time.sleep(2.0)
    keeper.turn()
    assert [(one.have, one.returned) for one in centre.asked] == [(0, 0), (2, 0), (2, 0)]


def test_what_is_recalled_goes_back_during_the_pause(store, monkeypatch):
    monkeypatch.setattr(keepers, "DRY_PAUSE_S", 60.0)
    centre = Centre()
    keeper = Keeper(store, centre)
    reserved(store)
    keeper.turn()
    store.wants_add([NAME])
    keeper.turn()
    # Another site wants units: one of the two that are free here goes back, at once.
    lease = LeaseRecord(
        lease=7, edge="central", epoch=store.meta().epoch, granted=2, settled=0, is_recalled=True
    )
    store.apply([msgspec.structs.replace(FEATURE, version=2, leases=(lease,))])
    keeper.turn()
    assert [one.returned for one in centre.asked] == [0, 0, 1]
