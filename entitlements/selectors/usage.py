"""Billed usage as the edge counts it: the buckets' own sums, in whole units."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant
from metering.meters import Meter
from metering.selectors.usage import Wanted, quantities_of, quantity_from_events


class Asked(NamedTuple):
    """Whose usage of which meter in which window, in units of 10 to the minus places. customer_id: the row."""

    customer_id: int
    meter: Meter
    window: Period
    places: int


def used_of(tenant: Tenant, asked: Sequence[Asked]) -> list[int]:
    """The used units of each, rounded up and never below zero; one query for all that COUNT and SUM answer.

    4.501 GB of two places are 451.
    """
    wanted = [Wanted(one.customer_id, one.meter, one.window) for one in asked]
    quantities = quantities_of(tenant=tenant, wanted=wanted)
    return [_units(quantity, one.places) for quantity, one in zip(quantities, asked, strict=True)]


def used_by_events(tenant: Tenant, asked: Asked) -> int:
    """The same from the events alone, which is slow, and independent of the buckets."""
    wanted = Wanted(asked.customer_id, asked.meter, asked.window)
    quantity = quantity_from_events(tenant=tenant, wanted=wanted)
    return _units(quantity, asked.places)


def _units(quantity: Decimal, places: int) -> int:
    units = quantity.scaleb(places, context=EXACT).to_integral_value(ROUND_CEILING)
    return max(0, int(units))
