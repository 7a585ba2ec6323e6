"""Tax rates on an invoice's lines: several, each on top of the net or of the taxes before it, contained or added.

Of a line's price B without any tax, rate i takes f_i × B: f_i is its percentage, and of a compound rate its percentage
of 1 + f_1 + … of the rates before it. Prices that contain taxes are B × (1 + the sum of the contained f).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor

from .state import ZERO, BillingState, Line, TaxLine, TaxRate
from .totals import COMMITMENT_KINDS

HUNDRED = Decimal(100)
# Of each rate, the places of the lines it applies to.
Scopes = Sequence[frozenset[int]]


def taxes_of(state: BillingState, rates: Sequence[TaxRate]) -> tuple[TaxLine, ...]:
    """A tax for each rate, in order, rounded once.

    GST 5 % and a compound QST 7.5 % on 100.00: 5.00, and 7.5 % of 105.00 = 7.875 → 7.88. Contained in 112.88:
    112.88 / (1.05 × 1.075) = 100.00, and the same two taxes.
    """
    amounts = [EXACT.add(line.amount, line.discount) for line in state.lines]
    scopes = [frozenset(i for i, line in enumerate(state.lines) if _applies(rate, line)) for rate in rates]
    taxes = []
    for index, rate in enumerate(rates):
        taxable = _taxable(rates, scopes, index, amounts)
        taxes.append(
            TaxLine(
                jurisdiction=rate.jurisdiction or state.tax_profile.jurisdiction,
                name=rate.name,
                percent=rate.percent,
                is_inclusive=rate.is_inclusive,
                taxable=round_minor(taxable, state.currency, state.rounding),
                amount=round_minor(_percent(taxable, rate.percent), state.currency, state.rounding),
            )
        )
    if state.follows("2"):
        taxes = [_with_rest(taxes, rates, scopes, index, amounts) for index in range(len(rates))]
    return tuple(taxes)


def _taxable(rates: Sequence[TaxRate], scopes: Scopes, index: int, amounts: Sequence[Decimal]) -> Decimal:
    """What a rate is taken of: its lines without the taxes they contain; if compound, with the taxes before it."""
    sums: dict[tuple[Decimal, Decimal], Decimal] = {}
    for line in sorted(scopes[index]):
        meeting = [i for i, scope in enumerate(scopes) if line in scope]
        key = _contained_and_before([rates[i] for i in meeting], meeting.index(index))
        sums[key] = EXACT.add(sums.get(key, ZERO), amounts[line])
    return total(
        _percent(
            EXACT.divide(EXACT.multiply(amount, HUNDRED), EXACT.add(HUNDRED, contained)),
            EXACT.add(HUNDRED, before),
        )
        for (contained, before), amount in sums.items()
    )


def _contained_and_before(rates: Sequence[TaxRate], index: int) -> tuple[Decimal, Decimal]:
    """Of rates that meet on a line, in percent of its net: what it contains, and what a compound rate finds on top."""
    taken: list[Decimal] = []
    for rate in rates:
        base = EXACT.add(HUNDRED, total(taken)) if rate.is_compound else HUNDRED
        taken.append(_percent(base, rate.percent))
    contained = total(of_net for rate, of_net in zip(rates, taken, strict=True) if rate.is_inclusive)
    return contained, total(taken[:index]) if rates[index].is_compound else ZERO


def _with_rest(
    taxes: Sequence[TaxLine], rates: Sequence[TaxRate], scopes: Scopes, index: int, amounts: Sequence[Decimal]
) -> TaxLine:
    """A contained tax with what is left of the price as its net: 0.03 at 20 % is 0.01 on 0.02, and never on 0.03.

    Only where it contains no other taxes on some of its lines, which have no net of their own that could be printed.
    """
    scope = scopes[index]
    meeting = [i for i, other in enumerate(scopes) if other & scope]
    contained = [i for i in meeting if rates[i].is_inclusive]
    before = [i for i in meeting if i < index] if rates[index].is_compound else []
    if (
        not rates[index].is_inclusive
        or any(scopes[i] != scope for i in contained)
        or set(before) - set(contained)
    ):
        return taxes[index]
    net = total([*(amounts[i] for i in scope), *(EXACT.minus(taxes[i].amount) for i in contained)])
    return replace(taxes[index], taxable=total([net, *(taxes[i].amount for i in before)]))


def _applies(rate: TaxRate, line: Line) -> bool:
    if line.code in rate.except_lines and line.kind not in COMMITMENT_KINDS:
        return False
    return not rate.lines or (line.code in rate.lines and line.kind not in COMMITMENT_KINDS)


def _percent(of: Decimal, percent: Decimal) -> Decimal:
    return EXACT.scaleb(EXACT.multiply(of, percent), -2)
