"""The doors to coupons and their redemptions; each asks for the tenant."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import Coupon


def coupons_for(tenant: Tenant) -> QuerySet[Coupon]:
    return Coupon.objects.of(tenant)


def coupon_for(tenant: Tenant, code: str) -> Coupon:
    """Raises Problem not_found."""
    return found(coupons_for(tenant), code=code)
