"""The pipeline: the ten stages in their order, and the runner that takes a state through them.

Pure: the same input gives the same bytes, in production, preview and sandbox. The order is this tuple and nowhere
else; each stage's file says why it stands where it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from aforo.kernel.canonical import content_hash, given_fields

from .invariants import broken
from .stages import (
    aggregation,
    allowance,
    commitment,
    discount,
    quota,
    rating,
    rollover,
    routing,
    settlement,
    tax,
)
from .state import INPUTS, RESULTS, RULE_VERSIONS, BillingState, ClosedPeriod, Rerun, StageHash


class Stage(Protocol):
    """A stage's file. READS and WRITES are fields of the state; issues and the trace grow in every stage."""

    __name__: str
    READS: frozenset[str]
    WRITES: frozenset[str]

    def run(self, state: BillingState) -> BillingState: ...


STAGES: tuple[Stage, ...] = (
    quota,
    rollover,
    aggregation,
    allowance,
    rating,
    commitment,
    discount,
    tax,
    routing,
    settlement,
)


def name_of(stage: Stage) -> str:
    return stage.__name__.rpartition(".")[2]


NAMES = tuple(name_of(stage) for stage in STAGES)
# A closed period is billed again up to here: an adjustment has its discounts in it, and is taxed with its invoice.
RERUN_UNTIL = name_of(discount)
# What the stages wrote under rule version 1.
RESULTS_1 = frozenset(
    {
        *(
            "caps",
            "allowances",
            "quantities",
            "billables",
            "lines",
            "discounts",
            "taxes",
            "routing",
            "settlement",
        ),
        "carried_out",
    }
)


class BrokenStage(RuntimeError):
    """A stage wrote what it does not declare, or left numbers that do not add up: a mistake in its code."""


def run(state: BillingState, *, since: str | None = None, until: str | None = None) -> BillingState:
    """Take the state through the stages from *since* (the first) to *until* (the last), both included, in order.

    Before the first stage, the closed periods of the input are run themselves (state.reruns).
    Stops after a stage that raised a critical or a pending issue (state.is_blocked).
    Raises ValueError for a name outside NAMES or an unknown rule version, BrokenStage for a wrong stage.

    run(state, until="rating") answers "usage so far"; 15,000 calls graduated leave one line of 107.00.
    """
    if state.rule_version not in RULE_VERSIONS:
        known = ", ".join(RULE_VERSIONS)
        raise ValueError(f"rule version {state.rule_version} is unknown; this engine has {known}")
    first = 0 if since is None else NAMES.index(since)
    last = len(NAMES) if until is None else NAMES.index(until) + 1
    if first == 0:
        state = _with_reruns(state)
    for stage in STAGES[first:last]:
        state = _checked(stage, before=state, after=stage.run(state))
        if state.is_blocked:
            break
    return state


def _with_reruns(state: BillingState) -> BillingState:
    """What blocks a closed period blocks the invoice that would adjust it, and is said of that period."""
    reruns, issues = [], []
    for closed in state.closed:
        rerun = run(_begun(closed), until=RERUN_UNTIL)
        reruns.append(Rerun(invoice=closed.invoice, lines=rerun.lines))
        if rerun.is_blocked:
            issues += [
                replace(issue, subject=closed.invoice, sentence=f"{closed.invoice}: {issue.sentence}")
                for issue in rerun.issues
                if issue.severity != "warning"
            ]
    return replace(state, reruns=tuple(reruns), issues=(*state.issues, *issues))


def _begun(closed: ClosedPeriod) -> BillingState:
    """The closed period's input as a state before its first stage."""
    given = {name: getattr(closed.input, name) for name in INPUTS}
    return BillingState(**{**given, "rule_version": closed.rule_version})


def _checked(stage: Stage, *, before: BillingState, after: BillingState) -> BillingState:
    name = name_of(stage)
    for field in (*INPUTS, *RESULTS):
        if field in stage.WRITES or getattr(after, field) is getattr(before, field):
            continue
        # Issues and trace may only grow: what an earlier stage said stays said.
        said = getattr(before, field)
        if field not in {"issues", "trace"} or getattr(after, field)[: len(said)] != said:
            raise BrokenStage(f"{name} changed {field}, which it does not declare")
    sentences = broken(after)
    if sentences:
        raise BrokenStage(f"after {name}: {'; '.join(sentences)}")
    given = given_fields(after)
    # Version 1 hashed what a stage had left empty, too; so a field that comes later moved every hash.
    empty = frozenset() if after.follows("2") else RESULTS_1
    written = {field: getattr(after, field) for field in stage.WRITES if field in given or field in empty}
    written["issues"] = after.issues[len(before.issues) :]
    written["trace"] = after.trace[len(before.trace) :]
    stamp = StageHash(stage=name, hash=content_hash(written))
    return replace(after, stage_hashes=(*after.stage_hashes, stamp))
