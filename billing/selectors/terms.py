"""Charge rows as the values that the pipeline prices; their only reader, so that studio, preview and invoice agree.

`charge_check` refuses a row that says what its model or kind cannot have, before it is saved and before it is sold.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from aforo.kernel.errors import Problem
from aforo.kernel.money import round_minor
from metering.aggregation import Aggregation

from .. import pricing
from ..models import Charge, RatePlanVersion
from ..models import Tier as TierRow
from ..pipeline import state as values
from ..pipeline.filters import overlapping, with_excludes
from ..pricing.terms import InvalidTerms, Terms, Tier

# Terms whose column has another name.
_COLUMNS = {"included": "included_units"}
_ROLLOVER = ("rollover_periods", "rollover_percent", "rollover_units_max")
_HUNDRED = Decimal(100)


def charge_terms(charge: Charge, tiers: Iterable[TierRow] | None = None) -> Terms:
    """The row's terms, unchecked: `billing.pricing.check` refuses columns that the model lacks.

    tiers: those of a charge that has none stored yet, in the order given; else the stored ones, by their bounds.
    """
    return Terms(
        model=charge.model,
        included=charge.included_units,
        unit_price=charge.unit_price,
        amount=charge.amount,
        tiers=tuple(
            Tier(
                up_to=tier.up_to,
                unit_price=tier.unit_price,
                flat_fee=tier.flat_fee,
                percent=tier.percent,
                cap=tier.cap,
            )
            for tier in (charge.tiers.all() if tiers is None else tiers)
        ),
        percent=charge.percent,
        fixed_fee=charge.fixed_fee,
        minimum_fee=charge.minimum_fee,
        minimum_without_transactions=charge.minimum_without_transactions,
        block_size=charge.block_size,
        rate_basis=charge.rate_basis,
        package_size=charge.package_size,
        package_price=charge.package_price,
        multiplier=charge.multiplier,
    )


def charge_value(charge: Charge) -> values.Charge:
    """The row as the pipeline takes it, with its meter's aggregation and unit.

    Reads meter, tiers and version__plan__product: prefetch them for many charges.
    """
    usage = (
        {
            "meter": charge.meter.key,
            "aggregation": Aggregation(charge.meter.aggregation),
            "percentile": charge.meter.percentile,
            "conversion": charge.meter.meter().conversion,
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
        timing=charge.timing,
        **usage,
    )


def version_charges(version: RatePlanVersion) -> tuple[values.Charge, ...]:
    """All charges of a version as the pipeline takes them: each usage is priced by the narrowest that lets it in.

    Prefetch what `charge_value` reads.
    """
    return with_excludes(charge_value(charge) for charge in version.charges.all())


def _rollover(charge: Charge) -> values.Rollover | None:
    if not charge.rollover_periods:
        return None
    percent = charge.rollover_percent
    return values.Rollover(
        periods=charge.rollover_periods,
        percent=_HUNDRED if percent is None else percent,
        units_max=charge.rollover_units_max,
    )


def charge_check(charge: Charge, tiers: Iterable[TierRow] | None = None) -> None:
    """Refuse a charge that its pricing model or its kind cannot have.

    tiers: as of `charge_terms`.
    Raises Problem input_invalid naming the column: tiers[1].up_to, included_units, dimension_filters.
    """
    try:
        pricing.check(charge_terms(charge, tiers))
        _check_amounts(charge)
        if charge.kind == Charge.Kind.FEE:
            _check_fee(charge)
        else:
            _check_usage(charge)
            _check_filters(charge)
    except InvalidTerms as error:
        column = _COLUMNS.get(error.field, error.field)
        raise Problem(
            "input_invalid",
            f"The charge {charge.code!r}: {column} {error.sentence}.",
            errors={column: [f"{error.sentence}."]},
        ) from None


def charges_check(charges: Iterable[Charge]) -> None:
    """Refuse a version's charges that would price some usage twice without one of them being the narrower.

    Raises Problem input_invalid naming both.
    """
    found = overlapping(charge_value(charge) for charge in charges)
    if found is not None:
        one, other = found
        both = ", ".join(f"{name} {value!r}" for name, value in sorted({*one.filters, *other.filters}))
        sentence = (
            f"{one.code!r} and {other.code!r} would both price usage of {one.meter!r} with {both}; add a charge for that, "
            "or give one of them a filter more."
        )
        raise Problem(
            "input_invalid", f"dimension_filters: {sentence}", errors={"dimension_filters": [sentence]}
        )


def _check_amounts(charge: Charge) -> None:
    currency = charge.version.plan.currency
    for column in ("minimum_amount", "maximum_amount"):
        amount = getattr(charge, column)
        if amount is not None and amount < 0:
            raise InvalidTerms(column, "is below zero")
        if amount is not None and round_minor(amount, currency, "half_up") != amount:
            raise InvalidTerms(column, f"is finer than the minor unit of {currency}")
    least, most = charge.minimum_amount, charge.maximum_amount
    if least is not None and most is not None and least > most:
        raise InvalidTerms("minimum_amount", "is above maximum_amount")


def _check_fee(charge: Charge) -> None:
    if charge.model != Charge.Model.FLAT_RATE:
        raise InvalidTerms("model", "of a recurring fee is FLAT_RATE")
    for column in ("dimension_filters", "quota_units", *_ROLLOVER):
        if getattr(charge, column) not in (None, {}):
            raise InvalidTerms(column, "is of usage only; a recurring fee has none")


def _check_usage(charge: Charge) -> None:
    if charge.timing != Charge.Timing.ARREARS:
        raise InvalidTerms("timing", "of usage is ARREARS; what is not used yet has no quantity")
    if charge.meter is not None:
        pricing.check_aggregation(charge.model, Aggregation(charge.meter.aggregation))
    for column in ("quota_units", "rollover_units_max"):
        if (getattr(charge, column) or 0) < 0:
            raise InvalidTerms(column, "is below zero")
    if charge.rollover_periods is None:
        for column in _ROLLOVER[1:]:
            if getattr(charge, column) is not None:
                raise InvalidTerms("rollover_periods", f"is missing; {column} needs it")
        return
    if charge.rollover_periods == 0:
        raise InvalidTerms("rollover_periods", "is zero; leave it out for no rollover")
    if not charge.included_units:
        raise InvalidTerms("rollover_periods", "needs included units, of which some can be left")
    if charge.rollover_percent is not None and not 0 <= charge.rollover_percent <= _HUNDRED:
        raise InvalidTerms("rollover_percent", "is not between 0 and 100")


def _check_filters(charge: Charge) -> None:
    filters = charge.dimension_filters
    if not isinstance(filters, dict):
        raise InvalidTerms("dimension_filters", 'is no object such as {"model": "gpt-4o"}')
    dimensions = charge.meter.group_by if charge.meter is not None else []
    for name, value in filters.items():
        if name not in dimensions:
            known = ", ".join(dimensions) or "none"
            raise InvalidTerms("dimension_filters", f"names {name!r}; the meter's dimensions are: {known}")
        if not isinstance(value, str):
            raise InvalidTerms("dimension_filters", f"of {name!r} is no text")
