from __future__ import annotations

import pytest

from billing.pipeline.stages import quota
from billing.pipeline.state import QuotaCap

from ..builders import D, calls, codes, facts, hour, state, usage

USED = (usage(hour(900, hour=10), hour(103, hour=11)),)


def after(over_quota: str, used=USED):
    return quota.run(state(calls(quota_units=D(1000), over_quota=over_quota), usage=used))


@pytest.mark.promise("P39")
def test_block_caps_and_says_what_was_let_through():
    blocked = after("BLOCK")
    assert blocked.caps == (QuotaCap(charge="calls", units=D(1000)),)
    (issue,) = blocked.issues
    assert (issue.severity, issue.code, dict(issue.facts)["units"]) == ("warning", "over_admitted", "3")
    assert issue.sentence == "Calls: 3 units above the quota of 1000, not billed."
    # The excess is taken from the latest hours: the second is where it lies.
    assert facts(blocked, "quota.exceeded") == [{"units": "3", "since": "2026-03-01T11:00:00Z"}]


@pytest.mark.promise("P39")
def test_charge_lets_the_overage_through_and_says_so():
    charged = after("CHARGE")
    assert charged.caps == ()
    assert codes(charged) == ["quota_exceeded"]


@pytest.mark.promise("P39")
def test_ignore_drops_it_without_an_issue():
    ignored = after("IGNORE")
    assert ignored.caps == (QuotaCap(charge="calls", units=D(1000)),)
    assert ignored.issues == ()


def test_up_to_the_quota_nothing_is_said():
    exactly = after("BLOCK", (usage(hour(1000)),))
    assert exactly.issues == ()
    assert facts(exactly, "quota.measured") == [{"quota": "1000", "used": "1000", "over_quota": "BLOCK"}]


def test_a_charge_without_a_quota_has_no_cap():
    assert quota.run(state(calls(), usage=USED)).trace == ()
