"""Grants: units beside a limit, given and taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import found
from aforo.tenancy.services.rows import invalid, row_save

from ..models import Feature, Grant
from ..selectors.features import feature_for, grant_for
from .touched import touched


@transaction.atomic
def grant_create(*, tenant: Tenant, customer: str, feature: str, amount: Decimal, **fields: Any) -> Grant:
    """Give a customer units of a metered feature beside its limit.

    customer: external_id. feature: its code. fields: priority, effective_at, expires_at, reason.
    Raises Problem not_found or input_invalid.
    """
    row = feature_for(tenant, feature)
    if row.kind != Feature.Kind.METERED:
        raise invalid("feature", f"{feature!r} is not metered and has no units.")
    if amount != round(amount, row.decimal_places):
        raise invalid(
            "amount", f"has more than the {row.decimal_places} decimal places of the feature's units."
        )
    grant = Grant(
        tenant=tenant,
        customer=found(Customer.objects.of(tenant), external_id=customer),
        feature=row,
        amount=amount,
        **fields,
    )
    row_save(grant)
    touched(tenant=tenant, customer_ids=[grant.customer_id])
    return grant


@transaction.atomic
def grant_revoke(*, tenant: Tenant, grant_id: object) -> Grant:
    """Take back what is left of a grant; a second time changes nothing. Raises Problem not_found."""
    grant = grant_for(tenant, grant_id)
    if grant.revoked_at is None:
        grant.revoked_at = now()
        grant.save(update_fields=["revoked_at"])
        touched(tenant=tenant, customer_ids=[grant.customer_id])
    return grant
