"""States for the pipeline's tests: March 2026 in UTC, a line for each fee, a total for each meter."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from aforo.kernel.periods import Period
from billing.burn import Grant
from billing.pipeline.state import (
    BillingState,
    Charge,
    FundedGrant,
    HourUsage,
    Line,
    MeterUsage,
    TaxProfile,
    TaxRate,
)
from billing.pricing.terms import Terms
from metering.aggregation import Aggregation, Partial

D = Decimal
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def state(*charges: Charge, **fields) -> BillingState:
    given = {
        "tenant": "acme_corp",
        "customer": "cust_abc",
        "subscription": "sub_1",
        "plan_version": "api v1",
        "currency": "USD",
        "period": MARCH,
        "cycle": MARCH,
        "as_of": MARCH.end,
    }
    return BillingState(**{**given, **fields}, charges=charges)


def fee(amount: str, code: str = "base", **fields) -> Charge:
    return Charge(
        code=code, name=code.title(), kind="FEE", terms=Terms(model="FLAT_RATE", amount=D(amount)), **fields
    )


def calls(unit_price: str = "0.01", included: str = "0", **fields) -> Charge:
    terms = Terms(model="PER_UNIT", unit_price=D(unit_price), included=D(included))
    given = {"code": "calls", "meter": "api.call", "aggregation": Aggregation.COUNT, "terms": terms, **fields}
    return Charge(name=given["code"].title(), kind="USAGE", **given)


def hour(count: int, day: int = 1, hour: int = 0, **dimensions: str) -> HourUsage:
    return HourUsage(
        hour=at(day, hour),
        dimensions=tuple(sorted(dimensions.items())),
        partial=Partial(count=count, value_count=count, sum=D(count)),
    )


def usage(*hours: HourUsage, meter: str = "api.call") -> MeterUsage:
    return MeterUsage(meter=meter, hours=hours)


def lines(*amounts: str, kind: str = "CHARGE") -> tuple[Line, ...]:
    """Lines as rating leaves them, with the codes line1, line2, …"""
    return tuple(
        Line(
            kind=kind,
            code=f"line{number}",
            description=f"Line {number}",
            quantity=D(1),
            unrounded=D(amount),
            amount=D(amount),
        )
        for number, amount in enumerate(amounts, start=1)
    )


def taxed(percent: str, **fields) -> TaxProfile:
    return TaxProfile(jurisdiction="DE", rates=(TaxRate(name="VAT", percent=D(percent), **fields),))


def grant(id: str, balance: str, kind: str = "CASH", expires_at: datetime | None = None) -> FundedGrant:
    return FundedGrant(grant=Grant(id, kind, MARCH.start, expires_at, MARCH.start), balance=D(balance))


def facts(state: BillingState, code: str) -> list[dict[str, str]]:
    """The facts of every explanation of that code."""
    return [dict(each.facts) for each in state.trace if each.code == code]


def codes(state: BillingState) -> list[str]:
    return [issue.code for issue in state.issues]
