"""Tiers: the steps that GRADUATED and VOLUME_TIERED share."""

from __future__ import annotations

from .terms import ZERO, InvalidTerms, Tier


def check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Refuse tiers that do not cover every unit exactly once.

    Raises InvalidTerms: a bound at or below the one before it (the tiers overlap or are out of order), an open tier
    before the last, a bounded last one (units above it would have no price), a price or fee below zero.
    """
    before = ZERO
    for index, tier in enumerate(tiers):
        place = f"tiers[{index}]"
        is_last = index == len(tiers) - 1
        for name in ("unit_price", "flat_fee"):
            if getattr(tier, name) < ZERO:
                raise InvalidTerms(f"{place}.{name}", "is below zero")
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
