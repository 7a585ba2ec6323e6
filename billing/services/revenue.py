"""Revenue: what a customer has earned the tenant in any window, by the rating that its invoices come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant
from entitlements.ports import Asked

from .. import loading, pipeline
from ..closed_periods import meter_usage
from ..models import Subscription
from ..pipeline.metered import condensed, cuts_of
from ..pipeline.state import ZERO, BillingState, MeterUsage
from ..selectors.exchange_rates import exchange_rates_on
from ..selectors.subscriptions import billed_subscriptions_for, subscription_periods
from ..sources import Sources


class Revenue:
    """Entitlements' `RevenueSource`."""

    def accrued(self, tenant: Tenant, asked: Sequence[Asked]) -> list[list[dict[str, Decimal]] | Problem]:
        answers: list[list[dict[str, Decimal]] | Problem] = [[{} for _ in windows] for _, windows in asked]
        for turn in _turns(tenant, asked):
            sources = Sources(tenant, [(subscription, cycle) for _, subscription, cycle in turn])
            for place, subscription, cycle in turn:
                sums = answers[place]
                if isinstance(sums, Problem):
                    continue
                try:
                    rated = RatedCycle(tenant, subscription, cycle, sources)
                    for window, of in zip(asked[place][1], sums, strict=True):
                        amount = rated.accrued(window)
                        if amount:
                            of[rated.currency] = EXACT.add(of.get(rated.currency, ZERO), amount)
                except Problem as problem:
                    answers[place] = problem
        return answers

    def exchange_rate(self, tenant: Tenant, base: str, quote: str, on: date) -> Decimal | None:
        found = exchange_rates_on(tenant, bases=[base], quote=quote, on=on).get(base)
        return found.rate if found else None


class RatedCycle:
    """One billing period of a subscription, rated on its usage until any instant.

    sources: of this and other subscriptions, read together. Raises Problem state_conflict where its invoice would.

    A fee of 31.00 and 0.01 a call, 100 calls on 1 January and 200 on the 2nd: the 2nd accrues 1.00 + 2.00.
    """

    def __init__(self, tenant: Tenant, subscription: Subscription, cycle: Period, sources: Sources) -> None:
        state = loading.billing_state(tenant=tenant, subscription=subscription, cycle=cycle, sources=sources)
        # What other periods' invoices have billed or left is theirs; a setup fee comes once, and would hide a loss.
        self._state = replace(state, fees_ahead=(), credits_left=(), closed=(), marks=(), setup_fees=())
        self._hours = meter_usage(
            tenant=tenant,
            customer=subscription.customer,
            meters={
                charge.meter: sources.asked[subscription.pk].meters[charge.meter]
                for charge in state.charges
                if charge.meter
            },
            period=state.period,
            read=lambda key: sources.buckets(subscription.pk, key),
            cuts=cuts_of(state.charges),
        )
        self._usage_until: dict[datetime, Decimal] = {}
        self._fees: Decimal | None = None

    @property
    def currency(self) -> str:
        return self._state.currency

    def accrued(self, window: Period) -> Decimal:
        """What the usage in the window has added, and the window's share of the fees, which accrue evenly."""
        shared = window.overlap(self._state.period)
        if shared is None:
            return ZERO
        usage = EXACT.subtract(self._usage(shared.end), self._usage(shared.start))
        fees = EXACT.divide(EXACT.multiply(self._fees or ZERO, _micros(shared)), _micros(self._state.period))
        return EXACT.add(usage, fees)

    def _usage(self, until: datetime) -> Decimal:
        """The price of the usage of the hours that began before an instant, at full precision."""
        if until <= self._state.period.start:
            return ZERO
        if until not in self._usage_until:
            rated = pipeline.run(self._of(until), until="rating")
            if rated.is_blocked:
                raise Problem("state_conflict", rated.issues[-1].sentence)
            of_usage = {charge.code for charge in rated.charges if charge.kind == "USAGE"}
            present = [line for line in rated.lines if line.ahead_of is None]
            self._usage_until[until] = total(line.unrounded for line in present if line.code in of_usage)
            self._fees = total(line.unrounded for line in present if line.code not in of_usage)
        return self._usage_until[until]

    def _of(self, until: datetime) -> BillingState:
        usage = (
            MeterUsage(
                meter=each.meter,
                hours=tuple(hour for hour in each.hours if hour.hour < until),
                levels=each.levels,
            )
            for each in self._hours
        )
        charges = self._state.charges
        return replace(self._state, usage=tuple(condensed(each, charges) for each in usage))


def _turns(tenant: Tenant, asked: Sequence[Asked]) -> list[list[tuple[int, Subscription, Period]]]:
    """What to rate, each with its place in *asked*; in a turn a subscription has one period, so that it is read at once."""
    held: dict[int, list[Subscription]] = defaultdict(list)
    customers = [customer for customer, _ in asked]
    for subscription in billed_subscriptions_for(tenant).filter(customer__in=customers):
        held[subscription.customer_id].append(subscription)
    turns: list[list[tuple[int, Subscription, Period]]] = []
    for place, (customer, windows) in enumerate(asked):
        for subscription in held[customer.pk] if windows else ():
            whole = Period(min(one.start for one in windows), max(one.end for one in windows))
            for number, cycle in enumerate(_cycles(subscription, whole)):
                if number == len(turns):
                    turns.append([])
                turns[number].append((place, subscription, cycle))
    return turns


def _cycles(subscription: Subscription, whole: Period) -> Iterator[Period]:
    for one in subscription_periods(subscription, start=whole.start):
        if one.billed.start >= whole.end:
            break
        yield one.cycle


def _micros(period: Period) -> Decimal:
    length = period.end - period.start
    return Decimal((length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds)
