"""Scenario: the one TOML format of worked examples and sandbox runs; strict, so that a typing error is no test.

docs/billing/worked_examples.md shows it. Every table is a struct here; a key that none of them has is refused with
its path. Amounts and quantities are text or TOML numbers, read as they are spelled.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

import msgspec


class InvalidScenario(ValueError):
    """A file that is no scenario; the message is a sentence that begins with the path of what is wrong."""


class Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A TOML table; its fields are the keys it may have."""


class MeterTable(Table):
    """event: the metric it listens to, its own key unless said. value: `quantity`, or the property that holds it.

    filters: [{field, operator, value}]. conversion: {operation, factor, rounding, places}.
    """

    key: str
    aggregation: str = "SUM"
    event: str = ""
    value: str = "quantity"
    percentile: Decimal | None = None
    group_by: tuple[str, ...] = ()
    filters: tuple[dict[str, Any], ...] = ()
    conversion: dict[str, Any] | None = None
    unit: str = ""


class RolloverTable(Table):
    periods: int
    percent: Decimal = Decimal(100)
    units_max: Decimal | None = None


class HeldTable(Table):
    """Local dates, the end exclusive; of the whole billed part where they are left out. quantity: of a fee."""

    starts_on: date | None = None
    ends_on: date | None = None
    quantity: Decimal = Decimal(1)


class SetupFeeTable(Table):
    code: str
    amount: Decimal
    name: str = ""


class ChargeTable(Table):
    """terms: in the words of `manage.py price`. filters: dimension = value. held: when; the whole time if left out."""

    code: str
    model: str
    terms: dict[str, Any]
    name: str = ""
    product: str = ""
    kind: Literal["FEE", "USAGE"] = "USAGE"
    meter: str = ""
    filters: dict[str, str] = {}
    quota_units: Decimal | None = None
    over_quota: Literal["CHARGE", "BLOCK", "IGNORE"] = "CHARGE"
    rollover: RolloverTable | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    held: tuple[HeldTable, ...] = ()


class PlanTable(Table):
    charges: tuple[ChargeTable, ...]
    code: str = "plan"
    currency: str = "USD"
    proration: Literal["day", "second"] = "day"
    billing_mode: Literal["POSTPAID", "PREPAID", "HYBRID"] = "POSTPAID"
    rounding: Literal["half_up", "half_even"] = "half_up"


class TaxRateTable(Table):
    """In the order they are taken. jurisdiction: the customer's unless said."""

    name: str
    percent: Decimal
    is_inclusive: bool = False
    is_compound: bool = False
    jurisdiction: str = ""


class TaxExemptionTable(Table):
    """Local dates, the end exclusive. jurisdiction: with those inside it; every one unless said."""

    number: str
    starts_on: date
    ends_on: date | None = None
    jurisdiction: str = ""
    reason: str = "resale"


class QuotedTaxTable(Table):
    name: str
    taxable: Decimal
    amount: Decimal
    percent: Decimal = Decimal(0)
    jurisdiction: str = ""
    note: str = ""


class TaxEngineTable(Table):
    """An outside engine, and the taxes that it answers with."""

    taxes: tuple[QuotedTaxTable, ...]
    name: str = "http"
    reference: str = ""


class CustomerTable(Table):
    id: str = "cust_abc"
    zone: str = "UTC"
    payer: str = ""
    tax_jurisdiction: str = ""
    is_tax_exempt: bool = False
    country: str = ""
    vat_number: str = ""
    tax_rates: tuple[TaxRateTable, ...] = ()
    tax_exemptions: tuple[TaxExemptionTable, ...] = ()
    tax_engine: TaxEngineTable | None = None


class SellerTable(Table):
    """Who bills; decides on EU VAT where the customer's country is known, too."""

    country: str = ""
    vat_number: str = ""


class CommitmentTable(Table):
    """amount: of a whole period, which begins with the billing period of the contract's `starts_on`.

    true_up: how often a shortfall is billed, once a period unless said. counted, paid, settled: what the period's earlier
    invoices counted and were paid for it, and the sum of their own true-ups or caps.
    """

    amount: Decimal
    kind: Literal["MINIMUM", "MAXIMUM"] = "MINIMUM"
    product: str = ""
    meter: str = ""
    period: Literal["month", "quarter", "year"] = "year"
    true_up: Literal["", "month", "quarter", "year"] = ""
    counted: Decimal = Decimal(0)
    paid: Decimal | None = None
    settled: Decimal = Decimal(0)


class ContractDiscountTable(Table):
    """threshold: units of threshold_meter, or money spent in the scope."""

    percent: Decimal
    threshold: Decimal = Decimal(0)
    threshold_meter: str = ""
    product: str = ""
    meter: str = ""


class ContractPriceTable(Table):
    """Other terms of a charge, in force if the contract is on the last billed day."""

    charge: str
    model: str
    terms: dict[str, Any]


class ContractTable(Table):
    """Local dates, the end exclusive; amounts of a whole billing period. Without dates the term is open."""

    code: str = "contract"
    starts_on: date | None = None
    ends_on: date | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    discount_percent: Decimal | None = None
    commitments: tuple[CommitmentTable, ...] = ()
    discounts: tuple[ContractDiscountTable, ...] = ()
    prices: tuple[ContractPriceTable, ...] = ()


class CouponTable(Table):
    code: str
    name: str = ""
    percent: Decimal | None = None
    amount: Decimal | None = None


class GrantTable(Table):
    id: str
    balance: Decimal
    kind: Literal["PROMO", "BONUS", "CASH"] = "CASH"
    expires_at: datetime | None = None


class CarriedTable(Table):
    charge: str
    units: Decimal
    periods_left: int = 1


class PeriodTable(Table):
    """month: 2026-03, cut in the customer's zone. billed_from, billed_until: the part of it that is billed."""

    month: str
    billed_from: date | None = None
    billed_until: date | None = None


class UsageTable(Table):
    """A total instead of events, for COUNT and SUM: so many events of so much in all, in the UTC hour of `at`.

    events: how many (default 1). total: what they add up to (default: as many as they are).
    at: default the period's start.
    """

    meter: str
    events: int = 1
    total: Decimal | None = None
    at: datetime | None = None
    dimensions: dict[str, str] = {}


class EventTable(Table):
    """One event. `at` with an offset. key: the place in the file unless said."""

    metric: str
    at: datetime
    quantity: Decimal = Decimal(1)
    key: str = ""
    properties: dict[str, Any] = {}


class ExpectedLineTable(Table):
    code: str
    amount: Decimal
    kind: str | None = None
    quantity: Decimal | None = None
    unrounded: Decimal | None = None
    discount: Decimal | None = None


class ExpectedTaxTable(Table):
    name: str
    amount: Decimal
    taxable: Decimal | None = None
    treatment: str | None = None


class ExpectedIssueTable(Table):
    code: str
    subject: str | None = None
    facts: dict[str, str] = {}


class ExpectedTable(Table):
    """What is not given is not compared, but the issues: those not named are a difference.

    A discount is written as a positive number, as on the invoice; commitment is negative for a cap.
    """

    lines: tuple[ExpectedLineTable, ...] | None = None
    subtotal: Decimal | None = None
    commitment: Decimal | None = None
    discount: Decimal | None = None
    tax: Decimal | None = None
    taxes: tuple[ExpectedTaxTable, ...] | None = None
    total: Decimal | None = None
    wallet: Decimal | None = None
    due: Decimal | None = None
    issues: tuple[ExpectedIssueTable, ...] = ()
    carried_out: tuple[CarriedTable, ...] | None = None


class Scenario(Table):
    title: str
    plan: PlanTable
    period: PeriodTable
    expected: ExpectedTable
    about: str = ""
    customer: CustomerTable = msgspec.field(default_factory=CustomerTable)
    seller: SellerTable = msgspec.field(default_factory=SellerTable)
    meters: tuple[MeterTable, ...] = ()
    setup_fees: tuple[SetupFeeTable, ...] = ()
    contracts: tuple[ContractTable, ...] = ()
    coupons: tuple[CouponTable, ...] = ()
    wallet: tuple[GrantTable, ...] = ()
    carried_in: tuple[CarriedTable, ...] = ()
    usage: tuple[UsageTable, ...] = ()
    events: tuple[EventTable, ...] = ()


def scenario_of(text: str) -> Scenario:
    """Read a scenario.

    Raises InvalidScenario: the text is no TOML, a key is unknown or missing, a value has the wrong kind.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidScenario(f"The file is no TOML: {error}") from None
    try:
        return msgspec.convert(document, Scenario, builtin_types=(datetime, date, time))
    except msgspec.ValidationError as error:
        raise InvalidScenario(_sentence(str(error))) from None


def _sentence(message: str) -> str:
    """msgspec's "… - at `$.plan.charges[0]`" with the path first."""
    what, _, place = message.partition(" - at ")
    path = place.strip("`").removeprefix("$").removeprefix(".")
    field = re.search(r"(?:unknown|required) field `(\w+)`", what)
    if field:
        path = f"{path}.{field[1]}" if path else field[1]
        what = "is unknown" if "unknown" in what else "is missing"
    return f"{path}: {what}" if path else what
