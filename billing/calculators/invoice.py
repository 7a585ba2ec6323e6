"""`manage.py invoice`: given lines through commitment, discount, tax and wallet, by the stages themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from zoneinfo import ZoneInfo

from aforo.kernel.decimals import EXACT, plain
from aforo.kernel.money import round_minor
from aforo.kernel.periods import Period

from .. import proration
from ..burn import ZERO, Grant
from ..pipeline import run
from ..pipeline.state import BillingState, Contract, Coupon, FundedGrant, Line, TaxProfile, TaxRate
from . import fields

KNOWN = {
    "currency",
    "lines",
    "minimum",
    "maximum",
    "discounts",
    "taxes",
    "tax_inclusive",
    "wallet",
    "rounding",
}
# The stages need a period; the amounts given here are already those of it.
_PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def invoice(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"currency", "lines", "minimum", "maximum", "discounts", "taxes", "wallet", …} -> the invoice's figures.

    lines: [{"id", "amount"}], rounded as lines are. minimum, maximum: {"amount"}, by day where `period` and `active`
    are given. discounts: [{"percent" | "amount", "lines"}] in order, each on what remains. taxes: [{"rate", "lines"}],
    rate in percent; contained in the prices with `tax_inclusive`. wallet: [{"id", "balance"}], in order.
    Answers {"subtotal", "commitment", "discount", "tax", "total", "wallet", "due", "lines"}; a discount is positive,
    and the part of it that falls on a true-up is in no line.
    Raises Problem fields_missing or field_invalid.

    100.00, minimum 95.00, 10 % off: 90.00.
    """
    row = fields.object_of(request, "the request", known=KNOWN, required={"currency", "lines"})
    currency = fields.currency(row["currency"])
    rounding = fields.choice(row.get("rounding") or "half_up", "rounding", ("half_up", "half_even"))
    given = fields.list_of(row["lines"], "lines", _line)
    ids = [line_id for line_id, _ in given]
    if len(set(ids)) != len(ids):
        raise fields.invalid("lines", "every line has an id of its own")
    lines = tuple(
        Line(
            kind="CHARGE",
            code=line_id,
            description=line_id,
            quantity=Decimal(1),
            unrounded=amount,
            amount=round_minor(amount, currency, rounding),
        )
        for line_id, amount in given
    )
    is_inclusive = fields.flag(row.get("tax_inclusive") or False, "tax_inclusive")
    discounts = fields.list_of(row.get("discounts"), "discounts", _discount)
    taxes = fields.list_of(
        row.get("taxes"), "taxes", lambda value, field: _tax(value, field, is_inclusive=is_inclusive)
    )
    for field, scopes in (("discounts", discounts), ("taxes", taxes)):
        for index, scope in enumerate(scopes):
            unknown = sorted(set(scope.lines) - set(ids))
            if unknown:
                raise fields.invalid(f"{field}[{index}].lines", f"{unknown[0]!r} is no line's id")
    wallet = fields.list_of(row.get("wallet"), "wallet", _grant)
    if len({grant_id for grant_id, _ in wallet}) != len(wallet):
        raise fields.invalid("wallet", "every grant has an id of its own")
    try:
        state = run(
            BillingState(
                tenant="",
                customer="customer",
                subscription="",
                plan_version="",
                currency=currency,
                rounding=rounding,
                period=_PERIOD,
                cycle=_PERIOD,
                as_of=_PERIOD.end,
                charges=(),
                contracts=_contracts(row),
                coupons=discounts,
                tax_profile=TaxProfile(rates=taxes),
                billing_mode="HYBRID",
                wallet=tuple(_funded(index, *grant) for index, grant in enumerate(wallet)),
                lines=lines,
            ),
            since="commitment",
        )
    except DecimalException:
        raise fields.invalid("lines", "come to a number of more than 60 digits") from None
    totals = state.settlement.totals

    def text(amount: Decimal) -> str:
        return plain(round_minor(amount, currency, rounding))

    return {
        "subtotal": text(totals.subtotal),
        "commitment": text(totals.commitment),
        "discount": text(EXACT.minus(totals.discount)),
        "tax": text(totals.tax),
        "total": text(totals.total),
        "wallet": text(totals.wallet_amount),
        "due": text(totals.due_amount),
        "lines": [
            {"id": line.code, "amount": text(line.amount), "discount": text(EXACT.minus(line.discount))}
            for line in state.lines[: len(lines)]
        ],
    }


def _line(value: Any, field: str) -> tuple[str, Decimal]:
    row = fields.object_of(value, field, known={"id", "amount"}, required={"id", "amount"})
    return fields.text(row["id"], f"{field}.id"), fields.decimal(row["amount"], f"{field}.amount")


def _contracts(row: Mapping[str, Any]) -> tuple[Contract, ...]:
    minimum, maximum = _commitment(row.get("minimum"), "minimum"), _commitment(row.get("maximum"), "maximum")
    if minimum is None and maximum is None:
        return ()
    return (Contract(code="contract", term=_PERIOD, minimum_amount=minimum, maximum_amount=maximum),)


def _commitment(value: Any, field: str) -> Decimal | None:
    if value is None:
        return None
    row = fields.object_of(value, field, known={"amount", "period", "active"}, required={"amount"})
    amount = fields.decimal(row["amount"], f"{field}.amount", least=ZERO)
    if row.get("period") is None or row.get("active") is None:
        return amount
    period = fields.period(row["period"], f"{field}.period")
    active = fields.period(row["active"], f"{field}.active")
    return proration.prorated(amount, *proration.share(period, active, basis="day", zone=ZoneInfo("UTC")))


def _discount(value: Any, field: str) -> Coupon:
    row = fields.object_of(value, field, known={"percent", "amount", "lines"}, required=set())
    percent, amount = row.get("percent"), row.get("amount")
    if (percent is None) == (amount is None):
        raise fields.invalid(field, "has either a percent or an amount")
    return Coupon(
        code=field,
        name=field,
        percent=None if percent is None else fields.decimal(percent, f"{field}.percent", least=ZERO),
        amount=None if amount is None else fields.decimal(amount, f"{field}.amount", least=ZERO),
        lines=fields.list_of(row.get("lines"), f"{field}.lines", fields.text),
    )


def _tax(value: Any, field: str, *, is_inclusive: bool) -> TaxRate:
    row = fields.object_of(value, field, known={"rate", "lines"}, required={"rate"})
    return TaxRate(
        name=field,
        percent=fields.decimal(row["rate"], f"{field}.rate", least=ZERO),
        is_inclusive=is_inclusive,
        lines=fields.list_of(row.get("lines"), f"{field}.lines", fields.text),
    )


def _grant(value: Any, field: str) -> tuple[str, Decimal]:
    row = fields.object_of(value, field, known={"id", "balance"}, required={"id", "balance"})
    return fields.text(row["id"], f"{field}.id"), fields.decimal(
        row["balance"], f"{field}.balance", least=ZERO
    )


def _funded(index: int, grant_id: str, balance: Decimal) -> FundedGrant:
    # Older the earlier it stands, so that burn order is the order given.
    created_at = _PERIOD.start + timedelta(microseconds=index)
    return FundedGrant(grant=Grant(grant_id, "CASH", _PERIOD.start, None, created_at), balance=balance)
