"""The runner: prefixes, what stops it, and what it refuses of a stage."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from billing import pipeline
from billing.pipeline import BrokenStage, run
from billing.pipeline.state import Issue, Routing
from billing.pricing.terms import Terms

from .builders import D, calls, fee, hour, lines, state, usage


def test_a_prefix_answers_usage_so_far():
    so_far = run(state(calls(), usage=(usage(hour(500)),)), until="rating")
    assert [line.amount for line in so_far.lines] == [D("5.00")]
    assert so_far.routing == Routing()
    assert so_far.stage_hashes[-1].stage == "rating"


def test_given_lines_go_through_the_rest():
    after = run(state(lines=lines("100")), since="commitment")
    assert after.settlement.totals.due_amount == 100


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="index"):
        run(state(), until="marinade")


def test_another_rule_version_is_refused():
    with pytest.raises(ValueError, match="rule version 0 is unknown"):
        run(state(rule_version="0"))


def test_a_critical_issue_stops_the_run():
    blocked = run(state(fee("1"), calls(terms=Terms(model="PER_UNIT"))))
    assert blocked.is_blocked
    assert [issue.code for issue in blocked.issues] == ["terms_invalid"]
    assert blocked.issues[0].sentence == "Calls: unit_price is missing; PER_UNIT needs it."
    assert blocked.stage_hashes[-1].stage == "rating"


def stage(monkeypatch, work, writes=()):
    broken = SimpleNamespace(
        __name__="billing.pipeline.stages.broken", READS=frozenset(), WRITES=frozenset(writes), run=work
    )
    monkeypatch.setattr(pipeline, "STAGES", (broken,))
    monkeypatch.setattr(pipeline, "NAMES", ("broken",))


def test_a_stage_that_changes_its_input_is_a_mistake(monkeypatch):
    stage(monkeypatch, lambda given: replace(given, currency="EUR"))
    with pytest.raises(BrokenStage, match="broken changed currency, which it does not declare"):
        run(state())


def test_a_stage_that_drops_an_issue_is_a_mistake(monkeypatch):
    issue = Issue(severity="warning", code="over_admitted", sentence="3 too many.")
    stage(monkeypatch, lambda given: replace(given, issues=()))
    with pytest.raises(BrokenStage, match="changed issues"):
        run(state(issues=(issue,)))


def test_numbers_that_do_not_add_up_are_a_mistake(monkeypatch):
    routed = Routing(payer="cust_abc", wallet_amount=D(1), due_amount=D(1))
    stage(monkeypatch, lambda given: replace(given, routing=routed), writes=["routing"])
    with pytest.raises(BrokenStage, match="after broken: wallet and due add up to the total"):
        run(state())
