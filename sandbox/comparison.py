"""Comparison: what a run came to against what a scenario expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

from aforo.kernel.decimals import EXACT, plain, trimmed
from aforo.kernel.money import round_minor
from billing.pipeline.state import BillingState, Issue
from billing.pipeline.totals import totals_of

from .scenario import ExpectedTable


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not as expected, as text; "" for one that is not there."""

    field: str
    expected: str
    actual: str


def figures_of(state: BillingState) -> dict[str, Decimal]:
    """The invoice's figures under the scenario's names; a discount positive."""
    totals = totals_of(state)
    figures = {
        "subtotal": totals.subtotal,
        "commitment": totals.commitment,
        "discount": EXACT.minus(totals.discount),
        "tax": totals.tax,
        "total": totals.total,
        "wallet": totals.wallet_amount,
        "due": totals.due_amount,
    }
    return {name: round_minor(amount, state.currency, state.rounding) for name, amount in figures.items()}


def differences_of(expected: ExpectedTable, state: BillingState) -> tuple[Difference, ...]:
    """Every difference, in the order of the invoice; none for a pass."""
    return (
        *_lines(expected, state),
        *_figures(expected, state),
        *_taxes(expected, state),
        *_issues(expected, state),
        *_carried(expected, state),
    )


def _lines(expected: ExpectedTable, state: BillingState) -> Iterator[Difference]:
    if expected.lines is None:
        return
    for index, line in enumerate(expected.lines):
        if index >= len(state.lines):
            yield Difference(f"lines[{index}]", f"{line.code} {plain(line.amount)}", "")
            continue
        actual = state.lines[index]
        given = {
            "code": (line.code, actual.code),
            "kind": (line.kind, actual.kind),
            "amount": (line.amount, actual.amount),
            "quantity": (line.quantity, actual.quantity),
            "unrounded": (line.unrounded, actual.unrounded),
            "discount": (line.discount, EXACT.minus(actual.discount)),
        }
        for name, (wanted, found) in given.items():
            if wanted is not None and wanted != found:
                yield Difference(f"lines[{index}].{name}", _text(wanted), _text(found))
    for index, extra in enumerate(state.lines[len(expected.lines) :], start=len(expected.lines)):
        yield Difference(f"lines[{index}]", "", f"{extra.code} {plain(extra.amount)}")


def _figures(expected: ExpectedTable, state: BillingState) -> Iterator[Difference]:
    for name, found in figures_of(state).items():
        wanted = getattr(expected, name)
        if wanted is not None and wanted != found:
            yield Difference(name, _text(wanted), _text(found))


def _taxes(expected: ExpectedTable, state: BillingState) -> Iterator[Difference]:
    if expected.taxes is None:
        return
    for index, (wanted, found) in enumerate(zip_longest(expected.taxes, state.taxes)):
        if wanted is None or found is None:
            said = [f"{tax.name} {plain(tax.amount)}" if tax else "" for tax in (wanted, found)]
            yield Difference(f"taxes[{index}]", *said)
            continue
        for name in ("name", "amount", "taxable", "treatment"):
            ours, theirs = getattr(wanted, name), getattr(found, name)
            if ours is not None and ours != theirs:
                yield Difference(f"taxes[{index}].{name}", _text(ours), _text(theirs))


def _issues(expected: ExpectedTable, state: BillingState) -> Iterator[Difference]:
    left = list(state.issues)
    for index, wanted in enumerate(expected.issues):
        found = next(
            (
                issue
                for issue in left
                if issue.code == wanted.code
                and wanted.subject in {None, issue.subject}
                and set(wanted.facts.items()) <= set(issue.facts)
            ),
            None,
        )
        if found is None:
            facts = ", ".join(f"{name} {text}" for name, text in wanted.facts.items())
            yield Difference(f"issues[{index}]", f"{wanted.code} {facts}".strip(), "")
        else:
            left.remove(found)
    for issue in left:
        yield Difference("issues", "", _issue_text(issue))


def _issue_text(issue: Issue) -> str:
    return f"{issue.code}: {issue.sentence}"


def _carried(expected: ExpectedTable, state: BillingState) -> Iterator[Difference]:
    if expected.carried_out is None:
        return
    wanted = [f"{each.charge} {trimmed(each.units)} × {each.periods_left}" for each in expected.carried_out]
    found = [f"{each.charge} {trimmed(each.units)} × {each.periods_left}" for each in state.carried_out]
    if wanted != found:
        yield Difference("carried_out", ", ".join(wanted), ", ".join(found))


def _text(value: str | Decimal) -> str:
    return plain(value) if isinstance(value, Decimal) else value
