"""Rows to the pipeline's input: the only reader. Whatever a run may look at is snapshotted here, in a fixed order.

Which terms hold for a period is decided in docs/decisions/0007-terms-in-force.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, last_day, local_midnight
from aforo.tenancy.models import Customer, Tenant

from .agreed_terms import agreed_terms, priced
from .closed_periods import closed_periods, meter_usage
from .models import CouponRedemption, Invoice, Subscription, TaxRate
from .pipeline import state as values
from .pipeline.advance import AHEAD
from .pipeline.metered import condensed, cuts_of
from .selectors.exchange_rates import exchange_rates_on
from .selectors.periods import billed_period, has_ended, subscription_cycle
from .selectors.profiles import billing_profile_for
from .selectors.tax import tax_jurisdiction_of
from .selectors.timeline import (
    Held,
    ahead_in,
    begun_at,
    charges_of,
    held_in,
    plain_code,
    plan_text,
    tax_categories,
    versions_held,
)
from .selectors.wallets import grant_value, grants_for
from .sources import Asked, Sources


def billing_state(
    *,
    tenant: Tenant,
    subscription: Subscription,
    cycle: Period,
    as_of: datetime | None = None,
    sources: Sources | None = None,
) -> values.BillingState:
    """The input of one subscription's period.

    subscription: as of `billed_subscriptions_for`. cycle: a whole period of it.
    as_of: when wallet grants are counted; the period's end if none is given.
    sources: where this and other periods have been read together; else it is read here.
    After the subscription's end nothing is charged; what is left are its closed periods.
    Raises Problem state_conflict where the subscription did not run in the cycle, or its terms are of several currencies.
    """
    sources = sources or Sources(tenant, [(subscription, cycle)])
    asked = sources.asked[subscription.pk]
    customer = subscription.customer
    has_run = asked.period
    period = has_run or cycle
    if has_run is None and not has_ended(subscription, cycle):
        raise Problem("state_conflict", f"The subscription {subscription.code!r} did not run in {cycle}.")
    currency = subscription.offering.currency
    payer = customer.parent or customer
    mode = subscription.offering.billing_mode
    held = held_in(subscription, period) if has_run else {}
    on = last_day(period, customer.zone)
    charges = priced(
        charges_of(held, period, _held_ahead(subscription, cycle) if has_run else None), subscription, on
    )
    versions = versions_held(subscription)
    at_start = {line.code for line in sources.ahead[subscription.pk] if line.ahead_of is None}
    closed, marks = closed_periods(tenant, sources, asked)
    usage = meter_usage(
        tenant=tenant,
        customer=customer,
        meters={charge.meter: asked.meters[charge.meter] for charge in charges if charge.meter},
        period=period,
        read=lambda key: sources.buckets(subscription.pk, key),
        cuts=cuts_of(charges),
    )
    return values.BillingState(
        tenant=str(tenant),
        customer=customer.external_id,
        subscription=subscription.code,
        plan_version=", ".join(map(plan_text, held or versions[-1:])),
        payer=customer.parent.external_id if customer.parent else "",
        currency=currency,
        rounding=sources.profile.rounding,
        zone=customer.timezone,
        period=period,
        cycle=cycle,
        as_of=as_of or period.end,
        charges=charges,
        usage=tuple(condensed(each, charges) for each in usage),
        carried_in=_carried_in(sources, asked) if has_run else (),
        contracts=agreed_terms(subscription, period, cycle) if has_run else (),
        coupons=_coupons(sources, asked, currency) if has_run else (),
        tax_profile=_tax_profile(sources, customer, tax_categories(versions, charges), on),
        billing_mode=mode,
        **({} if mode == "POSTPAID" else wallet_funds(tenant, payer, currency, period.end)),
        closed=closed,
        marks=marks,
        setup_fees=_setup_fees(subscription, period, at_start) if has_run else (),
        fees_ahead=_fees_ahead(sources, asked, charges),
        credits_left=_credits_left(sources, asked),
    )


def start_state(*, tenant: Tenant, subscription: Subscription) -> values.BillingState:
    """The input of what is due when billing begins: fees in advance of the first cycle, and setup fees.

    subscription: as of `billed_subscriptions_for`. What an invoice has once, a coupon's amount or a commitment, is left to
    the invoice of the period. Raises Problem state_conflict where nothing is ever billed.
    """
    begins_at = begun_at(subscription)
    if begins_at is None:
        raise Problem("state_conflict", f"Nothing of the subscription {subscription.code!r} is billed.")
    cycle = subscription_cycle(subscription).period_at(begins_at)
    whole = billing_state(tenant=tenant, subscription=subscription, cycle=cycle)
    zone = subscription.customer.zone
    midnight = local_midnight(begins_at.astimezone(zone).date() + timedelta(days=1), zone)
    day = Period(begins_at, min(midnight, whole.period.end))
    charges = priced(
        charges_of({}, day, ahead_in(subscription, cycle, whole.period)),
        subscription,
        last_day(whole.period, zone),
    )
    return replace(
        whole,
        kind="START",
        period=day,
        as_of=begins_at,
        charges=charges,
        usage=(),
        carried_in=(),
        contracts=tuple(
            values.Contract(code=each.code, term=each.term, discount_percent=each.discount_percent)
            for each in whole.contracts
        ),
        coupons=tuple(each for each in whole.coupons if each.amount is None),
        closed=(),
        marks=(),
        setup_fees=_setup_fees(subscription, day),
        fees_ahead=(),
        credits_left=(),
    )


def _held_ahead(subscription: Subscription, cycle: Period) -> Held:
    """What fees in advance are billed for with a cycle's invoice: the cycle after it, as far as it will run."""
    following = subscription_cycle(subscription).period_at(cycle.end)
    running = billed_period(subscription, following)
    return ahead_in(subscription, following, running) if running is not None else {}


def _fees_ahead(
    sources: Sources, asked: Asked, charges: Iterable[values.Charge]
) -> tuple[values.FeeAhead, ...]:
    """What has been billed in advance of the cycle, a fee a line, under the code that the fee has in it."""
    held = {(charge.plan, plain_code(charge.code)): (charge.code, charge.name) for charge in charges}
    found = []
    for line in sources.ahead[asked.subscription.pk]:
        if line.ahead_of is not None:
            code, name = held.get((line.plan, plain_code(line.code)), (line.code, line.code))
            net = EXACT.add(line.amount, line.discount)
            found.append(values.FeeAhead(code=code, name=name, plan=line.plan, gross=line.amount, net=net))
    return tuple(found)


def _credits_left(sources: Sources, asked: Asked) -> tuple[values.CreditLeft, ...]:
    """What the invoice of the period before had no room for; its own difference, closed periods have without it."""
    before = _invoice_before(sources, asked)
    return tuple(
        values.CreditLeft(code=facts["code"], amount=Decimal(facts["left"]))
        for issue in (before.issues if before else ())
        if issue["code"] == "credit_carried" and issue["subject"] == AHEAD
        for facts in [dict(issue["facts"])]
    )


def wallet_funds(tenant: Tenant, payer: Customer, currency: str, as_of: datetime) -> dict[str, Any]:
    """The input's `wallet` and `exchange_rates`: what is free of each grant, put in, neither burned nor held.

    Other currencies' wallets take part where the tenant says so, at the rates of the payer's local day.
    """
    grants = (
        grants_for(tenant, at=now())
        .filter(wallet__customer=payer, free__gt=0)
        .select_related("wallet")
        .order_by("created_at", "id")
    )
    if not billing_profile_for(tenant).pays_across_currencies:
        grants = grants.filter(wallet__currency=currency)
    funded = tuple(
        values.FundedGrant(
            grant=grant_value(grant),
            balance=grant.free,
            currency="" if grant.wallet.currency == currency else grant.wallet.currency,
        )
        for grant in grants
    )
    rates = exchange_rates_on(
        tenant,
        bases={each.currency for each in funded if each.currency},
        quote=currency,
        on=as_of.astimezone(payer.zone).date(),
    )
    return {
        "wallet": funded,
        "exchange_rates": tuple(
            values.ExchangeRate(currency=base, rate=rates[base].rate, on=rates[base].on)
            for base in sorted(rates)
        ),
    }


def _setup_fees(
    subscription: Subscription, period: Period, billed: Collection[str] = ()
) -> tuple[values.SetupFee, ...]:
    """Those that are due in the period. billed: the codes of those that the invoice of the start bills."""
    return tuple(
        values.SetupFee(code=fee.offering.code, name=fee.offering.name, amount=fee.amount)
        for fee in subscription.setup_fees.all()
        if fee.due_at in period and fee.offering.code not in billed
    )


def _carried_in(sources: Sources, asked: Asked) -> tuple[values.CarriedUnits, ...]:
    """What the invoice of the period before handed on; a period without an invoice hands on nothing."""
    before = _invoice_before(sources, asked)
    return tuple(
        values.CarriedUnits(
            charge=carried["charge"],
            units=Decimal(carried["units"]),
            periods_left=carried["periods_left"],
        )
        for carried in (before.carried_out if before else ())
    )


def _invoice_before(sources: Sources, asked: Asked) -> Invoice | None:
    """That of the period just before the cycle."""
    invoices = sources.invoices[asked.subscription.pk]
    return next((each for each in invoices if each.period_end == asked.cycle.start), None)


def _coupons(sources: Sources, asked: Asked, currency: str) -> tuple[values.Coupon, ...]:
    found = []
    for redemption in asked.subscription.coupons.all():
        coupon = redemption.coupon
        if not _is_in_force(redemption, sources, asked):
            continue
        if coupon.amount is not None:
            _currency_check(coupon.currency, currency, f"The coupon {coupon.code!r}")
        found.append(
            values.Coupon(code=coupon.code, name=coupon.name, percent=coupon.percent, amount=coupon.amount)
        )
    return tuple(found)


def _is_in_force(redemption: CouponRedemption, sources: Sources, asked: Asked) -> bool:
    """Whether a coupon counts in the period: from the first one not yet invoiced when it was attached."""
    periods = subscription_cycle(asked.subscription)
    billed_until = max(
        (
            invoice.period_end
            for invoice in sources.invoices[asked.subscription.pk]
            if invoice.issued_at is not None and invoice.issued_at <= redemption.redeemed_at
        ),
        default=asked.subscription.starts_at,
    )
    first = periods.index_at(billed_until)
    number = periods.index_at(asked.cycle.start) - first
    coupon = redemption.coupon
    lasts = {"ONCE": 1, "REPEATING": coupon.duration_periods or 1}.get(coupon.duration)
    return number >= 0 and (lasts is None or number < lasts)


def _tax_profile(
    sources: Sources, customer: Customer, categories: Mapping[str, str], on: date
) -> values.TaxProfile:
    jurisdiction, seller = tax_jurisdiction_of(customer), sources.profile
    return values.TaxProfile(
        jurisdiction=jurisdiction,
        is_exempt=customer.is_tax_exempt,
        rates=_tax_rates(jurisdiction, categories, sources.tax_rates(jurisdiction, on)),
        country=customer.country,
        vat_number=customer.vat_number,
        vat_confirmed_on=customer.vat_confirmed_on,
        seller_country=seller.country,
        seller_vat_number=seller.vat_number,
        exemptions=tuple(
            values.TaxExemption(
                jurisdiction=row.jurisdiction,
                number=row.number,
                reason=row.reason,
                starts_on=row.starts_on,
                ends_on=row.ends_on,
            )
            for row in sources.tax_exemptions(customer, on)
        ),
        engine=seller.tax_engine,
    )


def _tax_rates(
    jurisdiction: str, categories: Mapping[str, str], rows: Iterable[TaxRate]
) -> tuple[values.TaxRate, ...]:
    """The rates as charged: of several of one name the innermost, and beside a category's rate the general one for the rest.

    categories: the tax category of each line's code. rows: by position and jurisdiction, the outer ones first.
    """
    nearest = {
        (row.name, row.tax_category): row for row in sorted(rows, key=lambda row: len(row.jurisdiction))
    }
    codes: dict[str, list[str]] = defaultdict(list)
    for code, category in categories.items():
        codes[category].append(code)
    found = []
    for row in rows:
        if nearest[row.name, row.tax_category] is not row or (
            row.tax_category and row.tax_category not in codes
        ):
            continue
        others = [] if row.tax_category else [c for name, c in nearest if name == row.name and c]
        found.append(
            values.TaxRate(
                name=row.name,
                percent=row.percent,
                is_inclusive=row.is_inclusive,
                lines=tuple(sorted(codes[row.tax_category])) if row.tax_category else (),
                is_compound=row.is_compound,
                except_lines=tuple(sorted(code for category in others for code in codes.get(category, ()))),
                jurisdiction="" if row.jurisdiction == jurisdiction else row.jurisdiction,
            )
        )
    return tuple(found)


def _currency_check(given: str, currency: str, whose: str) -> None:
    if given != currency:
        raise Problem("state_conflict", f"{whose} is in {given}, and the plan in {currency}.")
