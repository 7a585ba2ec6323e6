"""Revenue: what a customer has earned the tenant in any window, by the rating that its invoices come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from .. import loading, pipeline
from ..closed_periods import meter_usage
from ..models import Subscription
from ..pipeline.metered import condensed, cuts_of
from ..pipeline.state import ZERO, BillingState, MeterUsage
from ..selectors.exchange_rates import exchange_rates_on
from ..selectors.subscriptions import billed_subscriptions_for, subscription_periods
from ..sources import Sources


class Revenue:
    """Entitlements' `RevenueSource`. `accrued` raises Problem state_conflict where a period cannot be rated, as its invoice would."""

    def accrued(
        self, tenant: Tenant, customer: Customer, windows: Sequence[Period]
    ) -> list[dict[str, Decimal]]:
        sums: list[dict[str, Decimal]] = [{} for _ in windows]
        if not windows:
            return sums
        whole = Period(min(one.start for one in windows), max(one.end for one in windows))
        for subscription in billed_subscriptions_for(tenant).filter(customer=customer):
            for cycle in _cycles(subscription, whole):
                rated = RatedCycle(tenant, subscription, cycle)
                for window, of in zip(windows, sums, strict=True):
                    amount = rated.accrued(window)
                    if amount:
                        of[rated.currency] = EXACT.add(of.get(rated.currency, ZERO), amount)
        return sums

    def exchange_rate(self, tenant: Tenant, base: str, quote: str, on: date) -> Decimal | None:
        found = exchange_rates_on(tenant, bases=[base], quote=quote, on=on).get(base)
        return found.rate if found else None


class RatedCycle:
    """One billing period of a subscription, rated on its usage until any instant.

    A fee of 31.00 and 0.01 a call, 100 calls on 1 January and 200 on the 2nd: the 2nd accrues 1.00 + 2.00.
    """

    def __init__(self, tenant: Tenant, subscription: Subscription, cycle: Period) -> None:
        sources = Sources(tenant, [(subscription, cycle)])
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


def _cycles(subscription: Subscription, whole: Period) -> Iterator[Period]:
    for one in subscription_periods(subscription, start=whole.start):
        if one.billed.start >= whole.end:
            break
        yield one.cycle


def _micros(period: Period) -> Decimal:
    length = period.end - period.start
    return Decimal((length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds)
