"""Tiers: the steps that GRADUATED, VOLUME_TIERED, STAIRSTEP and GRADUATED_PERCENTAGE share."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from aforo.kernel.decimals import EXACT

from .terms import ZERO, InvalidTerms, Tier, TierCharge

TERMS = ("unit_price", "percent", "flat_fee", "cap")


def check_tiers(tiers: tuple[Tier, ...], *, knows: frozenset[str]) -> None:
    """Refuse tiers that do not cover every unit exactly once.

    knows: those of TERMS that the model prices.
    Raises InvalidTerms: a bound at or below the one before it (the tiers overlap or are out of order), an open tier
    before the last, a bounded last one (units above it would have no price), a term below zero, or one that the model
    does not know.
    """
    before = ZERO
    for index, tier in enumerate(tiers):
        place = f"tiers[{index}]"
        is_last = index == len(tiers) - 1
        for name in TERMS:
            value = getattr(tier, name) or ZERO
            if value < ZERO:
                raise InvalidTerms(f"{place}.{name}", "is below zero")
            if value and name not in knows:
                known = ", ".join(term for term in TERMS if term in knows)
                raise InvalidTerms(f"{place}.{name}", f"is unknown to this model, whose tiers have {known}")
        if tier.up_to is None:
            if not is_last:
                raise InvalidTerms(f"{place}.up_to", "is open, but a tier follows; they overlap")
            return
        if tier.up_to <= before:
            what = "is zero or below" if index == 0 else f"is not above the tier before it, {before}"
            raise InvalidTerms(f"{place}.up_to", what)
        if is_last:
            raise InvalidTerms(
                f"{place}.up_to", "ends the last tier; units above it have no price, leave it open"
            )
        before = tier.up_to


def split(units: Decimal, tiers: tuple[Tier, ...]) -> Iterator[tuple[int, Tier, Decimal]]:
    """Each tier that the units touch, its number, and how many of them fall into it.

    12,500 units, tiers to 1,000, to 10,000 and open: 1,000 + 9,000 + 2,500.
    """
    below = ZERO
    for number, tier in enumerate(tiers, start=1):
        upper = units if tier.up_to is None else min(units, tier.up_to)
        if upper <= below:
            return
        yield number, tier, EXACT.subtract(upper, below)
        below = upper


def reached(units: Decimal, tiers: tuple[Tier, ...]) -> tuple[int, Tier]:
    """The tier that the last of the units falls into, and its number; at a bound still the lower one."""
    for number, tier in enumerate(tiers, start=1):
        if tier.up_to is None or units <= tier.up_to:
            return number, tier
    raise ValueError("the last tier is open; check() refuses any other")


def charged(number: int, tier: Tier, quantity: Decimal, unit_price: Decimal) -> tuple[TierCharge, ...]:
    """The rows of one tier: quantity × unit_price + flat fee, and what the tier's cap takes off it.

    500 × 0.02 + 5 with a cap of 12: 15, and a second row of -3.
    """
    row = TierCharge.of(quantity, unit_price, flat_fee=tier.flat_fee, tier=number)
    if tier.cap is None or row.amount <= tier.cap:
        return (row,)
    over = EXACT.subtract(tier.cap, row.amount)
    return row, TierCharge.of(ZERO, ZERO, flat_fee=over, tier=number)
