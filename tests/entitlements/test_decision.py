"""Decisions by hand: every reason, the window's end, reservations and leases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from entitlements.decision import Ask, Held, Known, Reason, Site, decide, released, settled, told
from entitlements.records import CustomerRecord, FeatureRecord, LeaseRecord

NOW = 1_000_000
END = 2_000_000
WHOLE = Site()
CUSTOMER = CustomerRecord(tenant="acme_corp/live", customer="cust_abc", version=1, as_of_ms=0, plan="pro")
FEATURE = FeatureRecord(
    tenant="acme_corp/live",
    customer="cust_abc",
    feature="advanced_ai_search",
    version=1,
    as_of_ms=0,
    kind="metered",
    limit=1_000,
    used=550,
    window_start_ms=0,
    window_end_ms=END,
    next_window_end_ms=3_500_000,
    next_limit=2_000,
)
LEASE = LeaseRecord(lease=7, edge="central", epoch="e", granted=100, settled=0)


def known(*, customer: dict[str, Any] | None = None, held: Held | None = None, **feature: Any) -> Known:
    return Known(
        msgspec.structs.replace(CUSTOMER, **customer or {}),
        msgspec.structs.replace(FEATURE, **feature),
        held or told(Held(), LEASE, 0),
    )


def look(of: Known, quantity: int = 1, site: Site = WHOLE, now_ms: int = NOW):
    return decide(of, Ask(quantity, now_ms), site)[0]


def reserve(of: Known, quantity: int = 1, now_ms: int = NOW, nonce: str = "n"):
    return decide(of, Ask(quantity, now_ms, is_reserving=True, nonce=nonce), Site())


@pytest.mark.promise("P89")
def test_the_briefs_fixture_has_450_left():
    # 1,000 - 550 = 450; a call that only asks takes nothing.
    seen = look(known())
    assert (seen.is_allowed, seen.limit, seen.remaining, seen.used) == (True, 1_000, 450, 550)


@pytest.mark.promise("P89", "P39")
def test_a_hard_quota_refuses_what_does_not_fit_and_a_soft_one_lets_it_through():
    # 999 + 1 = 1,000 fits; 1,000 + 1 does not.
    assert look(known(used=999)).is_allowed
    over = look(known(used=1_000))
    assert (over.is_allowed, over.reason, over.remaining) == (False, Reason.QUOTA_EXCEEDED, 0)
    # Until the window ends: (2,000,000 - 1,000,000) ms.
    assert over.retry_after_s == 1_000
    soft = look(known(used=1_003, limit_type="soft"))
    assert (soft.is_allowed, soft.remaining, soft.used) == (True, 0, 1_003)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"customer": {"is_active": False}}, Reason.SUBSCRIPTION_INACTIVE),
        ({"customer": {"is_wallet_empty": True}}, Reason.WALLET_EMPTY),
        ({"customer": {"margin_action": "block", "retry_after_s": 1_800}}, Reason.MARGIN_BLOCK),
        ({"customer": {"is_removed": True}}, Reason.UNKNOWN_CUSTOMER),
        ({"is_removed": True}, Reason.NOT_ENTITLED),
    ],
)
def test_each_refusal(changes, reason):
    seen = look(known(**changes))
    assert (seen.is_allowed, seen.reason) == (False, reason)


def test_what_a_site_does_not_know_is_refused_only_where_it_knows_everything():
    nobody = Known()
    assert look(nobody).reason is Reason.UNKNOWN_CUSTOMER
    assert not look(nobody).is_allowed
    # After a flush the policy decides, and says that it did.
    cold = look(nobody, site=Site(is_complete=False))
    assert (cold.is_allowed, cold.is_stale) == (True, True)
    assert not look(nobody, site=Site(is_complete=False, on_unknown="deny")).is_allowed
    assert look(known(), site=Site(is_feature_known=False)).reason is Reason.UNKNOWN_FEATURE


def test_a_site_that_hears_nothing_goes_on_and_says_so_until_the_policy_decides():
    assert not look(known(), site=Site(age_ms=10_000)).is_stale
    stale = look(known(), site=Site(age_ms=10_001))
    assert (stale.is_allowed, stale.remaining, stale.is_stale) == (True, 450, True)
    days = Site(age_ms=86_400_001, on_unknown="deny")
    assert (look(known(), site=days).is_allowed, look(known(), site=days).is_stale) == (False, True)
    assert look(known(), site=replace(days, on_unknown="allow")).is_allowed


def test_the_page_turns_at_the_windows_end_and_again_after_the_next():
    assert look(known(), now_ms=END - 1).remaining == 450
    # Exactly at the end: the next window, which ends at 3,500,000 and has 2,000 units.
    turned = look(known(), now_ms=END)
    assert (turned.limit, turned.used, turned.window_end_ms) == (2_000, 0, 3_500_000)
    # The one after is as long as that one, 1,500,000 ms.
    assert look(known(), now_ms=3_500_000).window_end_ms == 5_000_000
    assert look(known(), now_ms=8_000_000 + 1).window_end_ms == 9_500_000


@pytest.mark.promise("P94")
def test_a_reservation_counts_as_used_until_its_event_is_billed_and_never_twice():
    decision, after = reserve(known(), 10)
    assert (decision.used, decision.remaining, decision.reservation.id) == (560, 440, "7.10.n")
    assert look(after).used == 560
    was_open, held = settled(after.held, "7.10.n", NOW + 1)
    after = replace(after, held=held)
    assert was_open
    assert look(after).used == 560
    # Billed: 560 used, and the lease says that 10 of it are billed.
    billed = replace(
        after,
        feature=msgspec.structs.replace(after.feature, used=560),
        held=told(after.held, msgspec.structs.replace(LEASE, settled=10), 0),
    )
    assert look(billed).used == 560
    assert settled(billed.held, "7.10.n", NOW + 2) == (False, billed.held)


def test_a_released_or_expired_reservation_gives_its_units_back():
    _, after = reserve(known(), 10)
    was_open, held = released(after.held, "7.10.n", NOW + 59_999)
    assert (was_open, held.taken, held.free) == (True, 0, 100)
    # 60 s after it was made, it is over: what asks next gives it back.
    assert settled(after.held, "7.10.n", NOW + 60_000)[0] is False
    seen, later = decide(after, Ask(1, NOW + 60_000), Site())
    assert (seen.used, later.held.free) == (550, 100)


def test_only_the_lease_admits_and_a_dry_one_says_when_to_ask_again():
    # 100 units leased: the 101st is refused although 350 are left in the centre.
    _, after = reserve(known(), 100)
    dry = reserve(after, 1, nonce="m")[0]
    assert (dry.reason, dry.retry_after_s, dry.is_low) == (Reason.QUOTA_EXCEEDED, 1, True)
    over = replace(after, held=replace(after.held, has_more=False))
    assert reserve(over, 1, nonce="m")[0].retry_after_s == 1_000
    # Below half of the lease it asks for more in time: 100 - 51 = 49.
    assert not reserve(known(), 50)[0].is_low
    assert reserve(known(), 51)[0].is_low


def test_a_lease_of_the_window_before_admits_nothing_and_counts_nothing():
    _, after = reserve(known(), 60)
    turned, _ = reserve(after, 1, now_ms=END, nonce="m")
    assert (turned.is_allowed, turned.used, turned.is_low) == (False, 0, True)


def test_a_throttle_of_25_percent_refuses_every_fourth_call():
    state = known(customer={"margin_action": "throttle", "throttle_percent": 25, "retry_after_s": 60})
    refused = []
    for call in range(1, 101):
        decision, state = decide(state, Ask(1, NOW), Site())
        if not decision.is_allowed:
            assert (decision.reason, decision.retry_after_s) == (Reason.MARGIN_THROTTLE, 60)
            refused.append(call)
    assert refused == list(range(4, 101, 4))


def test_units_that_are_settled_count_as_taken_until_the_record_says_what_they_became():
    _, after = reserve(known(), 10)
    _, held = settled(after.held, "7.10.n", NOW + 1)
    lease = msgspec.structs.replace(LEASE, granted=150, settled=10)
    # The centre answers a renewal before its record has come: 550 used, and 10 taken.
    answered = replace(after, held=told(held, lease, 0, has_usage=False))
    assert (look(answered).used, answered.held.granted) == (560, 150)
    # The record: 560 used, and the 10 are among them.
    feature = msgspec.structs.replace(after.feature, used=560)
    assert look(replace(answered, feature=feature, held=told(answered.held, lease, 0))).used == 560


def test_late_words_about_a_lease_change_nothing():
    held = told(Held(), msgspec.structs.replace(LEASE, granted=80, settled=5), 0)
    assert told(held, msgspec.structs.replace(LEASE, granted=50, settled=2), 0) == held
    assert told(held, msgspec.structs.replace(LEASE, lease=6, granted=500), 0) == held
