"""A charge's price in a line, as a price list would print it."""

from __future__ import annotations

from ..models import Charge, Tier
from .base import money, number


def price_text(charge: Charge) -> str:
    """0.01 to 1,000, then 0.008 to 10,000, then 0.005; currencies stand on the plan, save for a whole amount."""
    match charge.model:
        case "FLAT_RATE":
            return money(charge.amount, charge.version.plan.currency)
        case "PER_UNIT":
            return f"{number(charge.unit_price)} a unit"
        case "PERCENTAGE":
            fee = f" + {number(charge.fixed_fee)} a transaction" if charge.fixed_fee else ""
            return f"{number(charge.percent)} %{fee}"
        case "INCLUDED_QUOTA":
            is_per_unit = charge.rate_basis == Charge.RateBasis.PER_UNIT
            per = "unit" if is_per_unit else f"block of {number(charge.block_size or 1)}"
            return f"{number(charge.unit_price)} a {per}"
        case "PACKAGE":
            return f"{number(charge.package_price)} a package of {number(charge.package_size)}"
        case "DYNAMIC":
            times = "" if charge.multiplier is None else f"{number(charge.multiplier)} × "
            return f"{times}the prices of the events"
        case _:
            return ", then ".join(_tier(tier, charge.model) for tier in charge.tiers.all())


def _tier(tier: Tier, model: str) -> str:
    match model:
        case "STAIRSTEP":
            price = number(tier.flat_fee)
        case "GRADUATED_PERCENTAGE":
            price = f"{number(tier.percent)} %"
        case _:
            price = number(tier.unit_price)
    fee = f" + {number(tier.flat_fee)}" if tier.flat_fee and model != "STAIRSTEP" else ""
    end = f" to {number(tier.up_to)}" if tier.up_to is not None else ""
    cap = "" if tier.cap is None else f" (at most {number(tier.cap)})"
    return f"{price}{fee}{end}{cap}"
