"""Loading: a scenario's tables to the state that the pipeline runs, without intake and without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aforo.kernel.canonical import sha256_hex
from aforo.kernel.currencies import MINOR_UNITS
from aforo.kernel.cycles import Cycle
from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, calendar_month, days_of, local_midnight
from billing.burn import Grant
from billing.calculators.price import terms_of
from billing.pipeline import run
from billing.pipeline.contracts import commitment_spans
from billing.pipeline.filters import with_excludes
from billing.pipeline.metered import cuts_of
from billing.pipeline.state import (
    BillingState,
    CarriedUnits,
    Charge,
    Commitment,
    Contract,
    ContractDiscount,
    Coupon,
    FundedGrant,
    HourUsage,
    MeterUsage,
    QuotedTax,
    Rollover,
    SetupFee,
    Span,
    TaxExemption,
    TaxProfile,
    TaxQuote,
    TaxRate,
)
from billing.pipeline.tax_quotes import question_of
from billing.pricing import MODELS, check_aggregation
from billing.pricing.terms import InvalidTerms
from metering.aggregation import IS_BUCKETABLE, Aggregation, Partial, Sample, fold_all
from metering.event import UsageEvent
from metering.fields import conversion, filter_of
from metering.meters import Meter, dimensions_of, feeds, sample_of

from .scenario import (
    ChargeTable,
    CommitmentTable,
    ContractTable,
    EventTable,
    InvalidScenario,
    MeterTable,
    Scenario,
    TaxEngineTable,
    UsageTable,
)

T = TypeVar("T")
Dimensions = tuple[tuple[str, str], ...]


def state_of(scenario: Scenario) -> BillingState:
    """The scenario as a run's input.

    Raises InvalidScenario for what the tables' shapes do not say: an unknown meter, zone, model or term.
    """
    customer, plan = scenario.customer, scenario.plan
    zone = _zone(customer.zone)
    if plan.currency not in MINOR_UNITS:
        raise InvalidScenario(f"plan.currency: {plan.currency!r} is no ISO 4217 currency code")
    try:
        cycle = calendar_month(scenario.period.month, zone)
    except ValueError as error:
        raise InvalidScenario(f"period.month: {error}") from None
    period = _cut(cycle, scenario.period.billed_from, scenario.period.billed_until, zone, "period")
    meters = {table.key: _meter(table, f"meters[{i}]") for i, table in enumerate(scenario.meters)}
    charges = with_excludes(
        replace(
            _charge(table, index, plan.proration, meters),
            spans=tuple(
                Span(
                    period=_cut(
                        period, each.starts_on, each.ends_on, zone, f"plan.charges[{index}].held[{place}]"
                    ),
                    quantity=each.quantity,
                )
                for place, each in enumerate(table.held)
            ),
        )
        for index, table in enumerate(plan.charges)
    )
    codes = [charge.code for charge in charges]
    for index, code in enumerate(codes):
        if code in codes[:index]:
            raise InvalidScenario(f"plan.charges[{index}].code: {code!r} is taken by an earlier charge")
    state = BillingState(
        tenant="scenario",
        customer=customer.id,
        subscription=f"{customer.id}:{plan.code}",
        plan_version=f"{plan.code}:1",
        payer=customer.payer,
        currency=plan.currency,
        rounding=plan.rounding,
        zone=customer.zone,
        period=period,
        cycle=cycle,
        as_of=cycle.end,
        charges=_at_contract_prices(scenario, charges, period, zone),
        usage=_usage(scenario, meters, period, cuts_of(charges)),
        carried_in=tuple(
            CarriedUnits(charge=each.charge, units=each.units, periods_left=each.periods_left)
            for each in scenario.carried_in
        ),
        contracts=tuple(
            _contract(each, cycle, zone, f"contracts[{index}]")
            for index, each in enumerate(scenario.contracts)
        ),
        coupons=tuple(
            Coupon(code=each.code, name=each.name or each.code, percent=each.percent, amount=each.amount)
            for each in scenario.coupons
        ),
        setup_fees=tuple(
            SetupFee(code=each.code, name=each.name or each.code, amount=each.amount)
            for each in scenario.setup_fees
        ),
        tax_profile=_tax_profile(scenario),
        billing_mode=plan.billing_mode,
        wallet=tuple(
            FundedGrant(
                grant=Grant(each.id, each.kind, cycle.start, each.expires_at, cycle.start),
                balance=each.balance,
            )
            for each in scenario.wallet
        ),
    )
    return _quoted(state, customer.tax_engine) if customer.tax_engine else state


def _quoted(state: BillingState, engine: TaxEngineTable) -> BillingState:
    """The state with the engine's answer to what this very invoice asks it."""
    profile = replace(state.tax_profile, engine=engine.name)
    question = question_of(run(replace(state, tax_profile=profile), until="discount"))
    quote = TaxQuote(
        question=sha256_hex(question.encode()),
        reference=engine.reference,
        taxes=tuple(
            QuotedTax(
                jurisdiction=tax.jurisdiction,
                name=tax.name,
                percent=tax.percent,
                taxable=tax.taxable,
                amount=tax.amount,
                note=tax.note,
            )
            for tax in engine.taxes
        ),
    )
    return replace(state, tax_profile=replace(profile, quote=quote))


def _tax_profile(scenario: Scenario) -> TaxProfile:
    customer, seller = scenario.customer, scenario.seller
    return TaxProfile(
        jurisdiction=customer.tax_jurisdiction or customer.country,
        is_exempt=customer.is_tax_exempt,
        rates=tuple(
            TaxRate(
                name=each.name,
                percent=each.percent,
                is_inclusive=each.is_inclusive,
                is_compound=each.is_compound,
                jurisdiction=each.jurisdiction,
            )
            for each in customer.tax_rates
        ),
        country=customer.country,
        vat_number=customer.vat_number,
        seller_country=seller.country,
        seller_vat_number=seller.vat_number,
        exemptions=tuple(
            TaxExemption(
                jurisdiction=each.jurisdiction,
                number=each.number,
                reason=each.reason,
                starts_on=each.starts_on,
                ends_on=each.ends_on,
            )
            for each in customer.tax_exemptions
        ),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidScenario(f"customer.zone: {name!r} is no IANA time zone") from None


def _cut(whole: Period, starts_on: date | None, ends_on: date | None, zone: ZoneInfo, field: str) -> Period:
    start = whole.start if starts_on is None else max(whole.start, local_midnight(starts_on, zone))
    end = whole.end if ends_on is None else min(whole.end, local_midnight(ends_on, zone))
    if start >= end:
        raise InvalidScenario(f"{field}: leaves nothing of the month")
    return Period(start, end)


def _contract(table: ContractTable, cycle: Period, zone: ZoneInfo, field: str) -> Contract:
    starts_at = cycle.start if table.starts_on is None else local_midnight(table.starts_on, zone)
    return Contract(
        code=table.code,
        term=_cut(cycle, table.starts_on, table.ends_on, zone, field),
        minimum_amount=table.minimum,
        maximum_amount=table.maximum,
        discount_percent=table.discount_percent,
        commitments=tuple(_commitment(each, table, starts_at, cycle, zone) for each in table.commitments),
        discounts=tuple(
            ContractDiscount(
                percent=each.percent,
                threshold=each.threshold,
                threshold_meter=each.threshold_meter,
                product=each.product,
                meter=each.meter,
            )
            for each in table.discounts
        ),
    )


def _commitment(
    table: CommitmentTable, contract: ContractTable, starts_at: datetime, cycle: Period, zone: ZoneInfo
) -> Commitment:
    spans = commitment_spans(
        Cycle("month", cycle.start.astimezone(zone).date(), zone),
        starts_at=starts_at,
        at=max(cycle.start, starts_at),
        period=table.period,
        true_up=table.true_up or table.period,
    )
    ends_at = None if contract.ends_on is None else local_midnight(contract.ends_on, zone)
    return Commitment(
        kind=table.kind,
        amount=table.amount,
        product=table.product,
        meter=table.meter,
        spans=spans,
        active=Period(max(starts_at, spans[0].start), min(ends_at or spans[-1].end, spans[-1].end)),
        counted=table.counted,
        settled=table.settled,
        paid=EXACT.add(table.counted, table.settled) if table.paid is None else table.paid,
    )


def _at_contract_prices(
    scenario: Scenario, charges: tuple[Charge, ...], period: Period, zone: ZoneInfo
) -> tuple[Charge, ...]:
    """The charges at the prices of the contract that is in force on the last billed day."""
    _, last = days_of(period, zone)
    by_code = {charge.code: charge for charge in charges}
    for index, contract in enumerate(scenario.contracts):
        for row, price in enumerate(contract.prices):
            field = f"contracts[{index}].prices[{row}]"
            if price.charge not in by_code:
                raise InvalidScenario(f"{field}.charge: {price.charge!r} is no charge of the plan")
            if price.model not in MODELS:
                raise InvalidScenario(f"{field}.model: is none of {', '.join(MODELS)}")
            terms = _read(
                lambda price=price, field=field: terms_of(price.model, price.terms, f"{field}.terms"), ""
            )
            starts_on, ends_on = contract.starts_on or last, contract.ends_on
            if starts_on <= last and (ends_on is None or last < ends_on):
                by_code[price.charge] = replace(by_code[price.charge], terms=terms, priced_by=contract.code)
    return tuple(by_code.values())


def _meter(table: MeterTable, field: str) -> Meter:
    if table.aggregation not in tuple(Aggregation):
        raise InvalidScenario(f"{field}.aggregation: is none of {', '.join(Aggregation)}")
    return Meter(
        id=0,
        key=table.key,
        event_name=table.event or table.key,
        aggregation=Aggregation(table.aggregation),
        value_property=table.value,
        filters=tuple(
            _read(lambda i=i, row=row: filter_of(row, f"{field}.filters[{i}]"), "")
            for i, row in enumerate(table.filters)
        ),
        group_by=table.group_by,
        unit=table.unit,
        conversion=_read(lambda: conversion(table.conversion), f"{field}."),
        percentile=table.percentile,
    )


def _charge(table: ChargeTable, index: int, proration: str, meters: dict[str, Meter]) -> Charge:
    field = f"plan.charges[{index}]"
    if table.model not in MODELS:
        raise InvalidScenario(f"{field}.model: is none of {', '.join(MODELS)}")
    if table.kind == "FEE" and table.meter:
        raise InvalidScenario(f"{field}.meter: a fee has none")
    meter = None
    if table.kind == "USAGE":
        meter = meters.get(table.meter)
        if meter is None:
            raise InvalidScenario(f"{field}.meter: {table.meter!r} is no meter of the file")
        for name in table.filters:
            if name not in meter.group_by:
                raise InvalidScenario(f"{field}.filters.{name}: {table.meter} is not grouped by it")
        try:
            check_aggregation(table.model, meter.aggregation)
        except InvalidTerms as error:
            raise InvalidScenario(f"{field}.{error.field}: {error.sentence}") from None
    return Charge(
        code=table.code,
        name=table.name or table.code,
        product=table.product,
        kind=table.kind,
        position=index + 1,
        terms=_read(lambda: terms_of(table.model, table.terms, f"{field}.terms"), ""),
        meter=table.meter,
        aggregation=meter.aggregation if meter else Aggregation.SUM,
        percentile=meter.percentile if meter else None,
        conversion=meter.conversion if meter else None,
        unit=meter.unit if meter else "",
        filters=tuple(sorted(table.filters.items())),
        quota_units=table.quota_units,
        over_quota=table.over_quota,
        rollover=None
        if table.rollover is None
        else Rollover(
            periods=table.rollover.periods,
            percent=table.rollover.percent,
            units_max=table.rollover.units_max,
        ),
        minimum_amount=table.minimum,
        maximum_amount=table.maximum,
        proration=proration,
    )


def _read(read: Callable[[], T], prefix: str) -> T:
    """A reader of JSON fields; its Problem is the file's mistake."""
    try:
        return read()
    except Problem as problem:
        raise InvalidScenario(f"{prefix}{problem.detail}") from None


def _usage(
    scenario: Scenario, meters: dict[str, Meter], period: Period, cuts: Sequence[datetime]
) -> tuple[MeterUsage, ...]:
    hours: dict[str, list[HourUsage]] = defaultdict(list)
    for index, table in enumerate(scenario.usage):
        meter = meters.get(table.meter)
        if meter is None:
            raise InvalidScenario(f"usage[{index}].meter: {table.meter!r} is no meter of the file")
        hours[meter.key].append(_total(table, meter, period, f"usage[{index}]"))
    events = [_event(table, index) for index, table in enumerate(scenario.events)]
    for meter in meters.values():
        hours[meter.key] += _folded(meter, (event for event in events if event.timestamp in period), cuts)
    listening = {meter.event_name for meter in meters.values()}
    for index, event in enumerate(events):
        if event.metric not in listening:
            raise InvalidScenario(f"events[{index}].metric: no meter listens to {event.metric!r}")
    return tuple(MeterUsage(meter=key, hours=tuple(hours[key])) for key in sorted(meters))


def _total(table: UsageTable, meter: Meter, period: Period, field: str) -> HourUsage:
    if meter.aggregation not in {Aggregation.COUNT, Aggregation.SUM}:
        raise InvalidScenario(f"{field}.meter: {meter.aggregation} needs events, not a total")
    at = _instant(table.at, f"{field}.at") if table.at else period.start
    if at not in period:
        raise InvalidScenario(f"{field}.at: lies outside the billed period {period}")
    if table.events < 1:
        raise InvalidScenario(f"{field}.events: is below 1")
    total = Decimal(table.events) if table.total is None else table.total
    return HourUsage(
        hour=at.replace(minute=0, second=0, microsecond=0),
        dimensions=tuple((name, table.dimensions.get(name, "")) for name in meter.group_by),
        partial=Partial(count=table.events, value_count=table.events, sum=total),
    )


def _event(table: EventTable, index: int) -> UsageEvent:
    return UsageEvent(
        idempotency_key=table.key or f"{index:09}",
        tenant_id=0,
        customer_id="",
        metric=table.metric,
        quantity=table.quantity,
        timestamp=_instant(table.at, f"events[{index}].at"),
        source="",
        properties=table.properties,
        is_timestamp_given=True,
        fingerprint=0,
        identity=b"",
    )


def _folded(meter: Meter, events: Iterable[UsageEvent], cuts: Sequence[datetime]) -> list[HourUsage]:
    samples: dict[tuple[datetime, Dimensions], list[Sample]] = defaultdict(list)
    for event in events:
        if feeds(meter, event):
            hour = event.timestamp.replace(minute=0, second=0, microsecond=0)
            hour = max(hour, *(at for at in cuts if at <= event.timestamp), hour)
            samples[hour, dimensions_of(meter, event)].append(sample_of(meter, event))
    keeps_values = meter.aggregation not in IS_BUCKETABLE
    return [
        HourUsage(hour=hour, dimensions=by, partial=fold_all(of_hour, keeps_values=keeps_values))
        for (hour, by), of_hour in sorted(samples.items())
    ]


def _instant(at: datetime, field: str) -> datetime:
    if at.tzinfo is None:
        raise InvalidScenario(f"{field}: has no offset; end it with Z")
    return at.astimezone(UTC)
