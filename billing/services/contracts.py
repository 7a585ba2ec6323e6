"""Contracts: negotiated terms over a subscription, one at a time; renewed at their end unless they were terminated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import month_later
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..locks import contract_locked, contracts_renewing_locked
from ..models import Contract, ContractRenewal
from ..selectors.contracts import contract_for, contracts_for
from ..selectors.subscriptions import subscription_for
from .amounts import amount_check, currency_check
from .contract_rows import contract_rows_add


@transaction.atomic
def contract_create(
    *,
    tenant: Tenant,
    code: str,
    subscription: str,
    starts_on: date,
    ends_on: date | None = None,
    currency: str | None = None,
    commitments: Iterable[Mapping[str, Any]] = (),
    discounts: Iterable[Mapping[str, Any]] = (),
    prices: Iterable[Mapping[str, Any]] = (),
    trials: Iterable[Mapping[str, Any]] = (),
    **fields: Any,
) -> Contract:
    """Agree on terms for [starts_on, ends_on), local days in the customer's zone; open without an end.

    currency: the subscription's, which is also what it must be. fields: minimum_amount and maximum_amount of a whole
    billing period, discount_percent, payment_terms_days, renewal_months, notice_days.
    commitments: {kind, amount, period, true_up, product | meter}. discounts: {percent, threshold, threshold_meter,
    product | meter}. prices: {charge, model, terms}. trials: {product, days}. Products and meters by code and key.
    Raises Problem not_found, already_exists, or input_invalid, also for a term that another contract of the
    subscription overlaps.
    """
    target = subscription_for(tenant, subscription)
    wanted = target.offering.currency
    currency_check(currency or wanted, wanted, whose=f"the subscription {subscription!r}")
    contract = Contract(
        tenant=tenant,
        code=code,
        subscription=target,
        currency=wanted,
        starts_on=starts_on,
        ends_on=ends_on,
        **fields,
    )
    row_save(contract)
    for field in ("minimum_amount", "maximum_amount"):
        amount_check(getattr(contract, field), wanted, field=field)
    contract_rows_add(contract, commitments=commitments, discounts=discounts, prices=prices, trials=trials)
    return contract_for(tenant, code)


@transaction.atomic
def contract_terminate(*, tenant: Tenant, code: str, ends_on: date | None = None) -> Contract:
    """Let the contract end with its term; it is not renewed any more. Terminating twice is terminating once.

    ends_on: of an open contract, which has no end otherwise; from tomorrow on.
    Locks the contract. Raises Problem not_found, input_invalid for an end, or state_conflict where notice came too late.
    """
    contract = contract_locked(tenant, code)
    if contract.terminated_at is not None:
        return contract
    today = _today(contract, now())
    if contract.ends_on is None:
        if ends_on is None:
            raise invalid("ends_on", "is missing; the contract is open, so say its first day without it.")
        if ends_on <= today:
            raise invalid("ends_on", f"is {ends_on}; what is billed already stays, so end it after {today}.")
        contract.ends_on = ends_on
    elif ends_on not in (None, contract.ends_on):
        raise invalid("ends_on", f"is fixed: the term ends on {contract.ends_on}.")
    elif contract.renewal_months is not None and today >= _renewed_on(contract):
        raise Problem(
            "state_conflict",
            f"Notice for the end on {contract.ends_on} was due before {_renewed_on(contract)}; "
            "the contract is renewed for another term.",
        )
    contract.terminated_at = now()
    row_save(contract)
    return contract


@transaction.atomic
def contracts_renew(*, tenant: Tenant, as_of: datetime) -> int:
    """Renew every contract whose notice has run out, each renewal a row; returns how many, none the second time.

    A term of a year until 1 January 2027 with 30 days of notice is renewed on 2 December 2026. One whose subscription ends, or
    after which another contract begins, is not. Locks the contracts.
    """
    renewed = 0
    for contract in contracts_renewing_locked(tenant):
        while _today(contract, as_of) >= _renewed_on(contract) and _is_free(contract):
            renewal = ContractRenewal(
                tenant=tenant, contract=contract, starts_on=contract.ends_on, ends_on=_next_end(contract)
            )
            row_save(renewal)
            contract.ends_on = renewal.ends_on
            row_save(contract)
            renewed += 1
    return renewed


def _today(contract: Contract, at: datetime) -> date:
    return at.astimezone(contract.subscription.customer.zone).date()


def _renewed_on(contract: Contract) -> date:
    """The first day on which notice comes too late."""
    return contract.ends_on - timedelta(days=contract.notice_days)


def _next_end(contract: Contract) -> date:
    """Counted from the first term's end, so that the 31st does not drift."""
    first = contract.renewals.first()
    terms = contract.renewals.count() + 1
    return month_later(first.starts_on if first else contract.ends_on, terms * contract.renewal_months)


def _is_free(contract: Contract) -> bool:
    """Whether nothing stands in the way of another term: the subscription runs on, and no other contract begins."""
    ends_at = contract.subscription.ends_at
    runs_on = ends_at is None or _today(contract, ends_at) > contract.ends_on
    others = contracts_for(contract.tenant).filter(subscription=contract.subscription).exclude(pk=contract.pk)
    next_end = _next_end(contract)
    return runs_on and not others.filter(starts_on__lt=next_end, starts_on__gte=contract.ends_on).exists()
