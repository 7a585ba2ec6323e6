"""Pricing models: billable units and terms to a price; pure, one file each.

A model sees billable units only: included units are subtracted before, in the allowance stage. Adding a model is
one file and one row here.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Protocol

from metering.aggregation import Aggregation

from . import (
    dynamic,
    flat_rate,
    graduated,
    graduated_percentage,
    included_quota,
    package,
    per_unit,
    percentage,
    stairstep,
    volume_tiered,
)
from .terms import Billable, InvalidTerms, Rated, Terms


class Model(Protocol):
    """What a model's file has. NEEDS: terms it cannot do without. ALLOWS: further terms it knows."""

    NEEDS: frozenset[str]
    ALLOWS: frozenset[str]

    def check(self, terms: Terms) -> None:
        """Raise InvalidTerms for what NEEDS, ALLOWS and the signs do not say."""

    def price(self, billable: Billable, terms: Terms) -> Rated:
        """The price of the billable units at full precision."""


MODELS: dict[str, Model] = {
    "PER_UNIT": per_unit,
    "FLAT_RATE": flat_rate,
    "GRADUATED": graduated,
    "VOLUME_TIERED": volume_tiered,
    "PERCENTAGE": percentage,
    "INCLUDED_QUOTA": included_quota,
    "PACKAGE": package,
    "STAIRSTEP": stairstep,
    "GRADUATED_PERCENTAGE": graduated_percentage,
    "DYNAMIC": dynamic,
}

# Models with tiers, and what a tier of theirs has beside its end.
TIERED: dict[str, frozenset[str]] = {
    "GRADUATED": graduated.TIERS,
    "VOLUME_TIERED": volume_tiered.TIERS,
    "STAIRSTEP": stairstep.TIERS,
    "GRADUATED_PERCENTAGE": graduated_percentage.TIERS,
}

_EMPTY = Terms(model="")
_NAMES = tuple(field.name for field in fields(Terms) if field.name != "model")


def check(terms: Terms) -> None:
    """Refuse terms that their model cannot price: when a plan is published, and again before rating.

    Raises InvalidTerms with the term and a sentence.
    """
    model = MODELS.get(terms.model)
    if model is None:
        raise InvalidTerms("model", f"is none of {', '.join(MODELS)}")
    given = [name for name in _NAMES if getattr(terms, name) != getattr(_EMPTY, name)]
    for name in sorted(model.NEEDS - set(given)):
        raise InvalidTerms(name, f"is missing; {terms.model} needs it")
    for name in given:
        if name not in model.NEEDS | model.ALLOWS:
            raise InvalidTerms(name, f"is unknown to {terms.model}")
        value = getattr(terms, name)
        if not isinstance(value, tuple | str) and value < 0:
            raise InvalidTerms(name, "is below zero")
    model.check(terms)


def check_aggregation(model: str, aggregation: Aggregation) -> None:
    """Refuse a meter whose quantity is not what the model prices.

    Raises InvalidTerms: DYNAMIC prices the sum of what the events carry, and no count, average or percentile is one.
    """
    if model == "DYNAMIC" and aggregation != Aggregation.SUM:
        raise InvalidTerms(
            "meter", f"has the aggregation {aggregation}; DYNAMIC needs SUM over the property with the price"
        )


def price(billable: Billable, terms: Terms) -> Rated:
    """The price of billable units under checked terms, at full precision.

    15,000 units GRADUATED, 0.010 to 1,000, 0.008 to 10,000, then 0.005: 10.000 + 72.000 + 25.000 = 107.000.
    """
    return MODELS[terms.model].price(billable, terms)
