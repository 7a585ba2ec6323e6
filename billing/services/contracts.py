"""Contracts: negotiated terms over a subscription, one at a time."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..models import Contract
from ..selectors.subscriptions import subscription_for
from .amounts import amount_check, currency_check


@transaction.atomic
def contract_create(
    *,
    tenant: Tenant,
    code: str,
    subscription: str,
    starts_on: date,
    ends_on: date | None = None,
    currency: str | None = None,
    **fields: Any,
) -> Contract:
    """Agree on terms for [starts_on, ends_on), local days in the customer's zone; open without an end.

    currency: the subscription's, which is also what it must be. fields: minimum_amount and maximum_amount of a whole
    billing period, discount_percent, payment_terms_days.
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
    return contract
