"""Adjustments: what an invoiced period comes to now, minus what was billed of it, as lines of the next invoice.

The period is run again as it was sealed, with the usage as it is known now: at its own prices and tiers, inside its own
quota, commitment and discounts. What was billed are its invoice's lines and all adjustments since, so that the
difference is billed once, however often anybody bills. Decided in docs/decisions/0012-closed-periods.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total
from aforo.kernel.periods import days_of

from .state import (
    ZERO,
    BillingState,
    Charge,
    ClosedPeriod,
    Explanation,
    Issue,
    Line,
    Rerun,
    UsageCorrection,
    UsageMark,
)
from .trace import explained, texts

# Of a charge's name; a description has room for 300 characters.
NAME_LENGTH_MAX = 80
# More corrections than this are counted in a line and not named; the line keeps their ids.
NAMED_MAX = 2


def adjusted(closed: ClosedPeriod, rerun: Rerun) -> tuple[list[Line], list[Explanation]]:
    """A line for each kind and code whose amount has changed, in the order of the period's own lines.

    1,000 calls at 0.01 were invoiced as 10.00, and 900 are left: a line of −100 calls and −1.00.
    """
    now: dict[tuple[str, str], list[Line]] = {}
    for line in rerun.lines:
        if line.adjusts:
            # What that invoice settled of fees in advance is no part of its period's own usage and fees.
            continue
        now.setdefault((line.kind, line.code), []).append(line)
    billed = {(line.kind, line.code): line for line in closed.billed}
    lines, why = [], []
    for kind, code in [*now, *(key for key in billed if key not in now)]:
        found, before = now.get((kind, code), []), billed.get((kind, code))
        comes_to = total(EXACT.add(line.amount, line.discount) for line in found)
        was = before.amount if before else ZERO
        units = EXACT.subtract(total(line.quantity for line in found), before.quantity if before else ZERO)
        amount = EXACT.subtract(comes_to, was)
        if not amount and not units:
            continue
        subject = subject_of(code, closed.invoice)
        why.append(
            explained(
                "rating",
                "adjusted",
                subject,
                invoice=closed.invoice,
                billed=was,
                now=comes_to,
                units=units,
                amount=amount,
            )
        )
        if not amount:
            continue
        corrections = _corrections(closed, kind, code)
        lines.append(
            Line(
                kind=kind,
                code=code,
                description=_description(closed, found[0].description if found else code, corrections),
                quantity=units,
                unrounded=amount,
                amount=amount,
                adjusts=closed.invoice,
                corrections=tuple(correction.id for correction in corrections),
            )
        )
    return lines, why


def credits_within(
    net: Decimal, adjusting: Iterable[Line], currency: str
) -> tuple[list[Line], list[Issue], list[Explanation]]:
    """The adjustments with as much of the credits as the invoice can give without falling below zero.

    net: what the invoice's own lines come to, discounts included. Credits are given in order; one that is cut keeps its
    quantity, and what is left of it is billed as the difference by the invoice after.

    2.00 on the invoice and credits of −1.50 and −3.00: −1.50 and −0.50; 2.50 are left for the next one.
    """
    kept, issues, why = [], [], []
    lines = list(adjusting)
    room = max(ZERO, EXACT.add(net, total(line.amount for line in lines if line.amount > ZERO)))
    for line in lines:
        given = max(line.amount, EXACT.minus(room)) if line.amount < ZERO else line.amount
        if given != line.amount:
            left = EXACT.subtract(line.amount, given)
            issues.append(
                Issue(
                    severity="warning",
                    code="credit_carried",
                    sentence=f"{plain(_printed(left, currency))} {currency} of a credit for {line.adjusts} is left for the "
                    "next invoice.",
                    subject=line.adjusts,
                    facts=texts(code=line.code, credit=line.amount, given=given, left=left),
                )
            )
            why.append(
                explained(
                    "discount",
                    "carried",
                    subject_of(line.code, line.adjusts),
                    credit=line.amount,
                    given=given,
                    left=left,
                )
            )
        if line.amount < ZERO:
            room = EXACT.add(room, given)
        if given:
            kept.append(line if given == line.amount else replace(line, unrounded=given, amount=given))
    return kept, issues, why


def marks_kept(state: BillingState) -> tuple[UsageMark, ...]:
    """The marks of what this invoice has settled; a period of which a credit was left is looked at again."""
    carried = {issue.subject for issue in state.issues if issue.code == "credit_carried"}
    left = {closed.input.cycle.start for closed in state.closed if closed.invoice in carried}
    return tuple(mark for mark in state.marks if mark.start not in left)


def subject_of(code: str, invoice: str) -> str:
    """What explanations of an adjusting line are about: the charge of another period."""
    return f"{code} of {invoice}"


def _printed(left: Decimal, currency: str) -> Decimal:
    """In the currency's places, whatever the store or the sealed input wrote."""
    return rounded(EXACT.minus(left), places=minor_units(currency), mode="half_up")


def _corrections(closed: ClosedPeriod, kind: str, code: str) -> tuple[UsageCorrection, ...]:
    """Those that the line can come of: of a charge's meter, or all of them for a commitment's line."""
    charges: dict[str, Charge] = {charge.code: charge for charge in closed.input.charges}
    if kind != "USAGE_FEE" or code not in charges:
        return closed.corrections
    return tuple(each for each in closed.corrections if charges[code].meter in each.meters)


def _description(closed: ClosedPeriod, name: str, corrections: tuple[UsageCorrection, ...]) -> str:
    """Calls, 2026-03-01 to 2026-03-31 (INV-000001): amended req_7f2a."""
    first, last = days_of(closed.input.cycle, ZoneInfo(closed.input.zone))
    if not corrections:
        why = "late usage"
    elif len(corrections) <= NAMED_MAX:
        why = ", ".join(each.text for each in corrections)
    else:
        why = f"{len(corrections):,} corrections"
    return f"{_short(name)}, {first} to {last} ({closed.invoice}): {why}"


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH_MAX else f"{name[: NAME_LENGTH_MAX - 1]}…"
