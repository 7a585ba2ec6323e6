"""Invariants: what is true of a state after every stage, whichever has run."""

from __future__ import annotations

from collections.abc import Callable

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.money import round_minor

from .state import ZERO, BillingState
from .totals import net_of, totals_of


def broken(state: BillingState) -> tuple[str, ...]:
    """The sentences that are not true of the state; none where all hold."""
    return tuple(sentence for sentence, holds in INVARIANTS.items() if not holds(state))


def _is_capped(state: BillingState) -> bool:
    caps = {cap.charge: cap.units for cap in state.caps}
    return all(quantity.units <= caps.get(quantity.charge, quantity.units) for quantity in state.quantities)


def _is_split_in_free_and_billable(state: BillingState) -> bool:
    return all(
        each.metered == EXACT.add(each.free, each.billable) and min(each.free, each.billable) >= ZERO
        for each in state.billables
    )


def _is_printed_in_minor_units(state: BillingState) -> bool:
    printed = [
        *(line.amount for line in state.lines),
        *(line.discount for line in state.lines),
        *(discount.amount for discount in state.discounts),
        *(tax.amount for tax in state.taxes),
        state.routing.wallet_amount,
        state.routing.due_amount,
    ]
    return all(amount == round_minor(amount, state.currency, state.rounding) for amount in printed)


def _is_discount_shared(state: BillingState) -> bool:
    shares = total(line.discount for line in state.lines)
    return shares == total(discount.amount for discount in state.discounts)


def _is_discount_within_lines(state: BillingState) -> bool:
    before = total(line.amount for line in state.lines)
    return all(line.discount <= ZERO for line in state.lines) and (before < ZERO or net_of(state) >= ZERO)


def _is_routed_whole(state: BillingState) -> bool:
    routing = state.routing
    if not routing.payer:
        return True
    routed = EXACT.add(routing.wallet_amount, routing.due_amount)
    return routing.wallet_amount >= ZERO and routed == totals_of(state).total


def _is_balanced(state: BillingState) -> bool:
    entries = state.settlement.entries
    return all(
        total(entry.amount for entry in entries if entry.currency == currency) == ZERO
        for currency in {entry.currency for entry in entries}
    )


def _is_burned_within_grants(state: BillingState) -> bool:
    funded = {each.grant.id: each for each in state.wallet}
    burns, routing = state.settlement.burns, state.routing
    wanted = {"": routing.own_wallet_amount, **{each.currency: each.taken for each in routing.exchanged}}
    is_whole = not burns or all(
        total(burn.amount for burn in burns if funded[burn.grant].currency == currency) == amount
        for currency, amount in wanted.items()
    )
    return is_whole and all(ZERO < burn.amount <= funded[burn.grant].balance for burn in burns)


def _is_carried_above_zero(state: BillingState) -> bool:
    return all(carried.units > ZERO and carried.periods_left > 0 for carried in state.carried_out)


INVARIANTS: dict[str, Callable[[BillingState], bool]] = {
    "no quantity exceeds its cap": _is_capped,
    "free and billable units add up to the metered ones": _is_split_in_free_and_billable,
    "what is printed is in minor units": _is_printed_in_minor_units,
    "the lines' shares add up to the discounts": _is_discount_shared,
    "discounts take no more than there is": _is_discount_within_lines,
    "wallet and due add up to the total": _is_routed_whole,
    "ledger entries add up to zero in each currency": _is_balanced,
    "burns stay within their grants and add up to each wallet's part": _is_burned_within_grants,
    "carried units are above zero": _is_carried_above_zero,
}
