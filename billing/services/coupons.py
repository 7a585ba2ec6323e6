"""Coupons: made, and attached to subscriptions within their limits."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..locks import coupon_locked
from ..models import Coupon, CouponRedemption
from ..models.subscription import ENDED
from ..selectors.subscriptions import subscription_for
from .amounts import amount_check, currency_check


@transaction.atomic
def coupon_create(*, tenant: Tenant, code: str, name: str, kind: str, **fields: Any) -> Coupon:
    """Make a coupon.

    kind: PERCENTAGE (with percent, 5 means 5 %) or FIXED_AMOUNT (with amount, and currency unless the tenant's).
    fields: duration ONCE, REPEATING (with duration_periods) or FOREVER; redemptions_max over all customers,
    redemptions_max_per_customer.
    Raises Problem input_invalid or already_exists.
    """
    coupon = Coupon(tenant=tenant, code=code, name=name, kind=kind, **{"currency": tenant.currency, **fields})
    row_save(coupon)
    amount_check(coupon.amount, coupon.currency, field="amount")
    return coupon


@transaction.atomic
def coupon_attach(*, tenant: Tenant, coupon: str, subscription: str) -> CouponRedemption:
    """Let a coupon count for a subscription, from its first period that is not invoiced yet.

    Locks the coupon, so that the last redemption goes to one of many who ask at once. Attaching it a second time to
    the same subscription gives the redemption of the first.
    Raises Problem not_found, input_invalid for a fixed amount in another currency, or state_conflict where the coupon
    is used up (in all, or by this customer) or the subscription has ended.
    """
    row = coupon_locked(tenant, coupon)
    target = subscription_for(tenant, subscription)
    attached = row.redemptions.filter(subscription=target).first()
    if attached is not None:
        return attached
    if target.state in ENDED:
        raise Problem("state_conflict", f"The subscription {subscription!r} has ended.")
    if row.kind == Coupon.Kind.FIXED_AMOUNT:
        currency_check(row.currency, target.offering.currency, whose=f"the subscription {subscription!r}")
    _limit_check(row.redemption_count, row.redemptions_max, f"The coupon {coupon!r} is used up")
    _limit_check(
        row.redemptions.filter(subscription__customer=target.customer_id).count(),
        row.redemptions_max_per_customer,
        f"The customer {target.customer.external_id!r} has used the coupon {coupon!r} up",
    )
    redemption = CouponRedemption(tenant=tenant, coupon=row, subscription=target)
    row_save(redemption)
    row.redemption_count += 1
    row_save(row)
    return redemption


def _limit_check(count: int, limit: int | None, sentence: str) -> None:
    if limit is not None and count >= limit:
        raise Problem("state_conflict", f"{sentence}: {count} of {limit}.", count=count, limit=limit)
