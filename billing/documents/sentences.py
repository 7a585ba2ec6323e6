"""Explanations as sentences: the trace is data, and this is how each kind of it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from babel import Locale

from .numbers import number_text

STAGE_NAMES = {
    "quota": "Quota Check",
    "rollover": "Rollover",
    "aggregation": "Aggregate",
    "allowance": "Allowance",
    "rating": "Rate",
    "commitment": "Commit",
    "discount": "Discount",
    "tax": "Tax",
    "routing": "Route",
    "settlement": "Settle",
}

# By the explanation's code; names in braces are its facts.
SENTENCES = {
    "quota.measured": "{used} used of a quota of {quota}; beyond it: {over_quota}.",
    "quota.exceeded": "{units} above the quota, which was reached in the hour from {since}.",
    "rollover.carried": "{units} unused units taken over; usable in {periods_left} periods, this one included.",
    "rollover.lapsed": "{units} units lapse; a period takes over {units_max} at most.",
    "aggregation.finished": "{aggregation} over {events} events is {aggregated}; {units} units count.",
    "allowance.drawn": "{metered} metered − {free} free ({included} included, {carried} taken over) = {billable} billable.",
    "allowance.carried_out": "{units} unused units go on to later periods; usable in {periods_left}.",
    "rating.contract": "Priced by the contract {contract}.",
    "rating.tier": "{model}, tier {tier}: {quantity} × {unit_price} + {flat_fee} = {amount}.",
    "rating.minimum": "{gross} is raised by {true_up} to the charge's minimum.",
    "rating.maximum": "{capped} beyond the charge's maximum is left out: {amount}.",
    "rating.prorated": "{fee} × {part} / {whole} = {amount}.",
    "rating.adjusted": "{invoice} and later invoices billed {billed}; what is known now comes to {now}: {amount}.",
    "rating.rounded": "{unrounded} is printed as {amount} (rounded {rounding}).",
    "commitment.minimum": "A minimum of {committed} is committed, for {part} of {whole} days.",
    "commitment.maximum": "A maximum of {committed} is agreed, for {part} of {whole} days.",
    "commitment.true_up": "{counted} counts towards the minimum; {amount} is missing.",
    "commitment.cap": "{counted} counts towards the maximum; {amount} brings it there.",
    "commitment.counting": "Of {committed} for {first} to {last}, {counted} is counted; the next true-up is on {until}.",
    "commitment.kept": "Of {committed} for {first} to {last}, {by_then} is the measure now and {counted} is counted.",
    "commitment.settled": "Of a minimum of {committed} for {first} to {last}, {by_then} is committed by now; {counted} is counted "
    "and {before} was trued up before: {amount}.",
    "commitment.held": "A maximum of {committed} holds for {first} to {last}: {counted} counts towards {by_then}, and {before} was "
    "left out before: {amount}.",
    "discount.threshold": "{reached} {unit} reach the threshold of {threshold}: {percent} % off.",
    "discount.contract": "Of {base}: {wanted}, which is {amount} on the invoice.",
    "discount.coupon": "Of {base}: {wanted}, which is {amount} on the invoice.",
    "discount.carried": "Of the credit of {credit} this invoice can give {given}; {left} is left for the next one.",
    "tax.exempt": "The customer is exempt from tax.",
    "tax.none": "No tax rate is in force for the customer.",
    "tax.certificate": "Exempt by certificate {number} ({reason}).",
    "tax.reverse_charge": "Reverse charge to {vat_number} ({evidence}): no tax on {taxable}.",
    "tax.out_of_scope": "{country} is outside of the EU and has no rate in the tax table: no tax on {taxable}.",
    "tax.exclusive": "{name}: {percent} % of {taxable} is {amount}.",
    "tax.inclusive": "{name}: {percent} % on {taxable}, contained in the prices, is {amount}.",
    "tax.quoted": "{name}: {percent} % of {taxable} is {amount}, by the tax engine {engine} (reference {reference}).",
    "tax.compound_exclusive": "{name}: {percent} % of {taxable}, the taxes before it included, is {amount}.",
    "tax.compound_inclusive": "{name}: {percent} % on {taxable}, the taxes before it included, contained in the prices, is {amount}.",
    "routing.postpaid": "{total} is due.",
    "routing.prepaid": "Of {total} the wallet, which holds {available}, pays {wallet}; {due} is due.",
    "routing.hybrid": "Of {total} the wallet, which holds {available}, pays {wallet}; {due} is due.",
    "routing.exchanged": "{taken} of a wallet in this currency, at {rate} on {on}, pay {paid}.",
    "settlement.entry": "{amount} is booked.",
    "settlement.burn": "{amount} is taken from this grant.",
}

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
# Facts that are names, also where they have digits alone.
_NAMES = frozenset({"number", "vat_number", "reference"})


def sentence(explanation: Mapping[str, Any], locale: Locale) -> str:
    """What an explanation of a stored trace says: {"code": "rating.rounded", "facts": [["amount", "49.72"], …], …}.

    A code without a sentence, as an older invoice may have one, is told by its facts.
    """
    facts = {name: text if name in _NAMES else _fact(text, locale) for name, text in explanation["facts"]}
    template = SENTENCES.get(explanation["code"])
    if template is None:
        return "; ".join(f"{name} {text}" for name, text in facts.items())
    return template.format_map(facts)


def _fact(text: str, locale: Locale) -> str:
    return number_text(text, locale) if _NUMBER.fullmatch(text) else text.replace("_", " ")
