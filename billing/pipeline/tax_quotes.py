"""Tax quotes: what an outside engine is asked about an invoice. Its answer is part of the input, so a run never asks.

A quote answers one question, word for word: other lines, another customer's number, another day are another question.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from aforo.kernel.canonical import canonical_json
from aforo.kernel.decimals import EXACT
from aforo.kernel.money import round_minor
from aforo.kernel.periods import last_day

from .state import BillingState

# What the issue is called that asks for an answer, and where in its facts the question stands.
NEEDED = "tax_quote_needed"
QUESTION = "question"


def question_of(state: BillingState) -> str:
    """The question as canonical JSON: who sells what to whom, each line's net after discounts, and the day of the rates."""
    profile = state.tax_profile
    products = {charge.code: charge.product for charge in state.charges}
    question = {
        "customer": state.customer,
        "subscription": state.subscription,
        "period": {"start": state.cycle.start, "end": state.cycle.end},
        "on": last_day(state.period, ZoneInfo(state.zone)),
        "currency": state.currency,
        "jurisdiction": profile.jurisdiction,
        "country": profile.country,
        "vat_number": profile.vat_number,
        "seller_country": profile.seller_country,
        "seller_vat_number": profile.seller_vat_number,
        "exemptions": profile.exemptions,
        "lines": [
            {
                "code": line.code,
                "kind": line.kind,
                "product": products.get(line.code, ""),
                "description": line.description,
                "amount": round_minor(EXACT.add(line.amount, line.discount), state.currency, state.rounding),
            }
            for line in state.lines
        ],
    }
    return canonical_json(question).decode()
