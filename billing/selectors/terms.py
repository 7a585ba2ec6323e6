"""Charge rows as the values that the pipeline prices; their only reader, so that studio, preview and invoice agree."""

from __future__ import annotations

from decimal import Decimal

from metering.aggregation import Aggregation

from ..models import Charge
from ..pipeline import state as values
from ..pricing.terms import Terms, Tier


def charge_terms(charge: Charge) -> Terms:
    """The row's terms, unchecked: `billing.pricing.check` refuses columns that the model lacks.

    Tiers come in the order of their bounds.
    """
    return Terms(
        model=charge.model,
        included=charge.included_units,
        unit_price=charge.unit_price,
        amount=charge.amount,
        tiers=tuple(
            Tier(up_to=tier.up_to, unit_price=tier.unit_price, flat_fee=tier.flat_fee)
            for tier in charge.tiers.all()
        ),
        percent=charge.percent,
        fixed_fee=charge.fixed_fee,
        minimum_fee=charge.minimum_fee,
        block_size=charge.block_size,
        rate_basis=charge.rate_basis,
    )


def charge_value(charge: Charge) -> values.Charge:
    """The row as the pipeline takes it, with its meter's aggregation and unit.

    Reads meter, tiers and version__plan__product: prefetch them for many charges.
    """
    usage = (
        {
            "meter": charge.meter.key,
            "aggregation": Aggregation(charge.meter.aggregation),
            "unit": charge.meter.unit,
        }
        if charge.meter is not None
        else {}
    )
    return values.Charge(
        code=charge.code,
        name=charge.name,
        kind=charge.kind,
        terms=charge_terms(charge),
        position=charge.position,
        product=charge.version.plan.product.code,
        filters=tuple(sorted((name, str(value)) for name, value in charge.dimension_filters.items())),
        quota_units=charge.quota_units,
        over_quota=charge.over_quota,
        rollover=_rollover(charge),
        minimum_amount=charge.minimum_amount,
        maximum_amount=charge.maximum_amount,
        proration=charge.version.proration,
        **usage,
    )


def _rollover(charge: Charge) -> values.Rollover | None:
    if not charge.rollover_periods:
        return None
    percent = charge.rollover_percent
    return values.Rollover(
        periods=charge.rollover_periods,
        percent=Decimal(100) if percent is None else percent,
        units_max=charge.rollover_units_max,
    )
