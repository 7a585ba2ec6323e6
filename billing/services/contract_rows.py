"""The rows that a contract is made of: added with it, each refused at its place, and held against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from aforo.kernel.cycles import INTERVAL_MONTHS
from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, placed, row_save
from metering.aggregation import Aggregation
from metering.selectors.meters import meter_for

from .. import pricing
from ..calculators.price import terms_of
from ..models import (
    Charge,
    Contract,
    ContractCommitment,
    ContractDiscount,
    ContractPrice,
    ContractTrial,
)
from ..pricing.terms import InvalidTerms
from ..selectors.catalog import product_for
from ..selectors.periods import subscription_cycle
from ..selectors.timeline import versions_held
from .amounts import amount_check

Row = Mapping[str, Any]


def contract_rows_add(
    contract: Contract,
    *,
    commitments: Iterable[Row] = (),
    discounts: Iterable[Row] = (),
    prices: Iterable[Row] = (),
    trials: Iterable[Row] = (),
) -> None:
    """Add a contract's rows, as of `contract_create`.

    Raises Problem input_invalid that names the row, such as commitments[1].true_up, or not_found for what it names.
    """
    _add("commitments", commitments, lambda row: _commitment_add(contract, **row))
    _add("discounts", discounts, lambda row: _discount_add(contract, **row))
    _add("prices", prices, lambda row: _price_add(contract, **row))
    _add("trials", trials, lambda row: _trial_add(contract, **row))
    _bounds_check(contract)


def _add(name: str, rows: Iterable[Row], add: Callable[[Row], None]) -> None:
    for index, row in enumerate(rows):
        with placed(f"{name}[{index}]"):
            add(row)


def _scope(tenant: Tenant, product: str | None, meter: str | None) -> dict[str, Any]:
    return {
        "product": product_for(tenant, product) if product else None,
        "meter": meter_for(tenant, meter) if meter else None,
    }


def _commitment_add(
    contract: Contract, *, product: str | None = None, meter: str | None = None, **columns: Any
) -> None:
    scope = _scope(contract.tenant, product, meter)
    row = ContractCommitment(tenant=contract.tenant, contract=contract, **scope, **columns)
    row_save(row)
    amount_check(row.amount, contract.currency, field="amount")
    interval = subscription_cycle(contract.subscription).interval
    if row.kind == ContractCommitment.Kind.MAXIMUM and row.true_up:
        raise invalid("true_up", "is of a minimum; a maximum holds on every invoice, so leave it out.")
    for field, length in (("period", row.period), ("true_up", row.true_up or row.period)):
        if INTERVAL_MONTHS[length] < INTERVAL_MONTHS[interval]:
            raise invalid(field, f"is a {length}; the subscription is billed each {interval}.")
    if row.true_up and INTERVAL_MONTHS[row.true_up] > INTERVAL_MONTHS[row.period]:
        raise invalid("true_up", f"is a {row.true_up}, which is longer than the period, a {row.period}.")


def _discount_add(
    contract: Contract,
    *,
    product: str | None = None,
    meter: str | None = None,
    threshold_meter: str | None = None,
    **columns: Any,
) -> None:
    tenant = contract.tenant
    row_save(
        ContractDiscount(
            tenant=tenant,
            contract=contract,
            threshold_meter=meter_for(tenant, threshold_meter) if threshold_meter else None,
            **_scope(tenant, product, meter),
            **columns,
        )
    )


def _price_add(contract: Contract, *, charge: str, model: str, terms: Any) -> None:
    """The same checks as of a plan's charge: what its model, its kind and its meter cannot have is refused."""
    row_save(
        ContractPrice(tenant=contract.tenant, contract=contract, charge=charge, model=model, terms=terms)
    )
    held = [
        row
        for version in versions_held(contract.subscription)
        for row in version.charges.select_related("meter")
    ]
    rows = [row for row in held if row.code == charge]
    if not rows:
        known = ", ".join(dict.fromkeys(row.code for row in held))
        raise invalid("charge", f"{charge!r} is none of the subscription's; they are {known}.")
    if model != Charge.Model.FLAT_RATE and any(row.kind == Charge.Kind.FEE for row in rows):
        raise invalid("model", "of a recurring fee is FLAT_RATE.")
    try:
        terms_of(model, terms, "terms")
        for row in rows:
            if row.meter is not None:
                pricing.check_aggregation(model, Aggregation(row.meter.aggregation))
    except Problem as problem:
        raise Problem("input_invalid", problem.detail, errors={"terms": [problem.detail]}) from None
    except InvalidTerms as error:
        raise invalid("model", f"does not fit: {error}.") from None


def _trial_add(contract: Contract, *, product: str, days: int) -> None:
    product_row = product_for(contract.tenant, product)
    row_save(ContractTrial(tenant=contract.tenant, contract=contract, product=product_row, days=days))


def _bounds_check(contract: Contract) -> None:
    """Refuse a scope whose minimum is above its maximum, and two minimums of the whole contract.

    Amounts of different periods are compared by the month: 1,000 a month is above 10,000 a year.
    """
    interval = subscription_cycle(contract.subscription).interval
    by_scope: dict[Any, dict[str, Fraction]] = defaultdict(dict)
    for kind, amount in (("MINIMUM", contract.minimum_amount), ("MAXIMUM", contract.maximum_amount)):
        if amount is not None:
            by_scope[None, None][kind] = _monthly(amount, interval)
    for index, row in enumerate(contract.commitments.all()):
        bounds = by_scope[row.product_id, row.meter_id]
        if row.kind in bounds:
            raise invalid(
                f"commitments[{index}].kind",
                f"is the whole contract's {row.kind.lower()} a second time; give {row.kind.lower()}_amount or a commitment.",
            )
        bounds[row.kind] = _monthly(row.amount, row.period)
        if bounds.get("MINIMUM", 0) > bounds.get("MAXIMUM", bounds.get("MINIMUM", 0)):
            raise invalid(
                f"commitments[{index}].amount",
                f"is {trimmed(row.amount)} a {row.period}; the minimum of a scope is at most its maximum.",
            )


def _monthly(amount: Decimal, interval: str) -> Fraction:
    return Fraction(amount) / INTERVAL_MONTHS[interval]
