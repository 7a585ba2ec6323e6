"""`manage.py price`: a quantity under a model's terms to an amount, by the allowance and rating stages' own functions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import Any

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total
from aforo.kernel.errors import Problem
from aforo.kernel.money import round_minor
from metering.fields import conversion

from .. import pricing
from ..pipeline.stages.allowance import drawn
from ..pipeline.stages.rating import Price, priced
from ..pricing.terms import ZERO, Billable, InvalidTerms, Terms, Tier
from ..pricing.tiers import TERMS as TIER_TERMS
from . import fields

REQUIRED = {"model", "currency", "terms"}
KNOWN = REQUIRED | {
    "quantity",
    "conversion",
    "minimum",
    "maximum",
    "already_billed",
    "transactions",
    "rounding",
}
DECIMAL_TERMS = (
    "included",
    "unit_price",
    "amount",
    "percent",
    "fixed_fee",
    "minimum_fee",
    "free_amount",
    "min_per_transaction",
    "max_per_transaction",
    "block_size",
    "package_size",
    "package_price",
    "multiplier",
)
OTHER_TERMS = ("tiers", "minimum_without_transactions", "free_transactions", "free_units", "rate_basis")
# Priced by what single events came to.
BY_TRANSACTION = ("PERCENTAGE", "DYNAMIC")
ROUNDING_MODES = ("half_up", "half_even")


def price(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"model", "currency", "quantity", "terms", …} -> {"amount", "unrounded", "gross", "true_up", "capped", "breakdown"}.

    quantity: metered units; `conversion` turns them into billed ones before included units are subtracted.
    transactions: for PERCENTAGE the amounts, for DYNAMIC the prices, one by one; a quantity alone is one of them.
    minimum, maximum: bounds of the period's price. already_billed: {"quantity", "amount"} of the same period; the
    answer is what is still due after the further `quantity`, tiers and bounds taken over the whole period.
    Answers: gross is the model's price, gross + true_up − capped − already billed = unrounded, and amount is that,
    rounded once. docs/billing/pricing.md has every model's terms.
    Raises Problem fields_missing or field_invalid.

    15,000 GRADUATED, 0.010 to 1,000, 0.008 to 10,000, then 0.005: amount 107.00.
    """
    row = fields.object_of(request, "the request", known=KNOWN, required=REQUIRED)
    model = fields.choice(row["model"], "model", tuple(pricing.MODELS))
    currency = fields.currency(row["currency"])
    terms = terms_of(model, row["terms"], "terms")
    minimum, maximum = (_amount_or_none(row, name) for name in ("minimum", "maximum"))
    if minimum is not None and maximum is not None and minimum > maximum:
        raise fields.invalid("minimum", "is above the maximum")
    rounding = fields.choice(row.get("rounding") or "half_up", "rounding", ROUNDING_MODES)
    billed_quantity, billed_amount = _already_billed(row.get("already_billed"))
    try:
        billable = _billable(row, terms, billed_quantity)
        result = priced(billable, terms, minimum, maximum)
        due = EXACT.subtract(result.amount, billed_amount)
        return _answer(result, due, currency, rounding)
    except InvalidTerms as error:
        raise _invalid_terms(error, "terms") from None
    except DecimalException:
        raise fields.invalid("quantity", "gives a number of more than 60 digits") from None


def terms_of(model: str, value: Any, field: str) -> Terms:
    """A model's terms as JSON, checked by the model itself.

    Raises Problem fields_missing or field_invalid that names the term.
    """
    row = fields.object_of(value, field, known={*DECIMAL_TERMS, *OTHER_TERMS}, required=set())
    given = {name: item for name, item in row.items() if item is not None}
    read: dict[str, Any] = {
        name: fields.decimal(given[name], f"{field}.{name}") for name in DECIMAL_TERMS if name in given
    }
    if "tiers" in given:
        read["tiers"] = fields.list_of(given["tiers"], f"{field}.tiers", _tier)
    if "minimum_without_transactions" in given:
        name = "minimum_without_transactions"
        read[name] = fields.flag(given[name], f"{field}.{name}")
    if "free_transactions" in given:
        read["free_transactions"] = fields.whole(
            given["free_transactions"], f"{field}.free_transactions", least=0, most=10**9
        )
    if "free_units" in given:
        name = f"{field}.free_units"
        if model != "PACKAGE":
            raise fields.invalid(name, f"is unknown to {model}")
        if read.get("included"):
            raise fields.invalid(name, "is what included is to other models; give one of the two")
        # Units free of charge are one term, and subtracted in one place: the allowance stage.
        read["included"] = fields.decimal(given["free_units"], name, least=ZERO)
    if "rate_basis" in given:
        read["rate_basis"] = fields.text(given["rate_basis"], f"{field}.rate_basis")
    terms = Terms(model=model, **read)
    try:
        pricing.check(terms)
    except InvalidTerms as error:
        raise _invalid_terms(error, field) from None
    return terms


def _tier(value: Any, field: str) -> Tier:
    row = fields.object_of(value, field, known={"up_to", *TIER_TERMS}, required=set())
    up_to, cap = row.get("up_to"), row.get("cap")
    return Tier(
        up_to=None if up_to is None else fields.decimal(up_to, f"{field}.up_to"),
        unit_price=_decimal_or_zero(row, "unit_price", field),
        flat_fee=_decimal_or_zero(row, "flat_fee", field),
        percent=_decimal_or_zero(row, "percent", field),
        cap=None if cap is None else _amount(cap, f"{field}.cap"),
    )


def _billable(row: Mapping[str, Any], terms: Terms, billed_quantity: Decimal) -> Billable:
    if row.get("transactions") is not None:
        amounts = fields.list_of(row["transactions"], "transactions", _amount)
        if terms.model not in BY_TRANSACTION:
            raise fields.invalid("transactions", f"are unknown to {terms.model}; give a quantity")
        if terms.included:
            raise fields.invalid("terms.included", "is for a quantity; of transactions, free_amount is free")
        if terms.model == "PERCENTAGE":
            return Billable(units=total(amounts), transaction_count=len(amounts), transactions=amounts)
        quantity = total(amounts)
    else:
        if row.get("quantity") is None and terms.model != "FLAT_RATE":
            lacking = "transactions" if terms.model == "DYNAMIC" else "quantity"
            raise Problem("fields_missing", f"the request lacks {lacking}.", missing=[lacking])
        quantity = _decimal_or_zero(row, "quantity", "")
    metered = EXACT.add(billed_quantity, quantity)
    converted = conversion(row.get("conversion"))
    if converted is not None:
        metered = converted.of(metered)
        if metered < ZERO:
            raise fields.invalid("conversion.factor", "turns the quantity below zero")
    _, units = drawn(metered, (terms.included,))
    if terms.model == "PERCENTAGE" and units:
        return Billable(units=units, transaction_count=1, transactions=(units,))
    return Billable(units=units)


def _already_billed(value: Any) -> tuple[Decimal, Decimal]:
    if value is None:
        return ZERO, ZERO
    row = fields.object_of(value, "already_billed", known={"quantity", "amount"}, required=set())
    return _decimal_or_zero(row, "quantity", "already_billed"), _decimal_or_zero(
        row, "amount", "already_billed"
    )


def _answer(price: Price, due: Decimal, currency: str, rounding: str) -> dict[str, Any]:
    def text(amount: Decimal) -> str:
        # Never finer or coarser than it is, and at least to the minor unit: 107.000 is 107.00.
        finer = max(minor_units(currency), -int(amount.normalize(EXACT).as_tuple().exponent))
        return plain(rounded(amount, places=finer, mode="half_up"))

    return {
        "amount": plain(round_minor(due, currency, rounding)),
        "unrounded": plain(due),
        "gross": text(price.gross.amount),
        "true_up": text(price.true_up),
        "capped": text(price.capped),
        "breakdown": [
            {
                "tier": each.tier,
                "quantity": plain(each.quantity),
                "unit_price": plain(each.unit_price),
                "flat_fee": plain(each.flat_fee),
                "amount": plain(each.amount),
            }
            for each in price.gross.breakdown
        ],
    }


def _invalid_terms(error: InvalidTerms, field: str) -> Problem:
    name = f"{field}.{error.field}"
    if error.sentence.startswith("is missing"):
        return Problem("fields_missing", f"{name} {error.sentence}.", missing=[name])
    return fields.invalid(name, error.sentence)


def _amount(value: Any, field: str) -> Decimal:
    return fields.decimal(value, field, least=ZERO)


def _amount_or_none(row: Mapping[str, Any], name: str) -> Decimal | None:
    value = row.get(name)
    return None if value is None else _amount(value, name)


def _decimal_or_zero(row: Mapping[str, Any], name: str, field: str) -> Decimal:
    value = row.get(name)
    return ZERO if value is None else _amount(value, f"{field}.{name}" if field else name)
