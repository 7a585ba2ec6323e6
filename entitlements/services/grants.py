"""Grants: units beside a limit, given and taken back. Both are audited."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from aforo.audit.services import audit_write
from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import found
from aforo.tenancy.services.rows import invalid, row_save

from ..models import Feature, Grant
from ..selectors.features import feature_for, grant_for
from .changes import fields_of
from .touched import touched

# Each instant at which a grant recurred is looked at when its balance is asked for.
BACKDATED_MAX = timedelta(days=366)


@transaction.atomic
def grant_create(
    *, tenant: Tenant, actor: str, customer: str, feature: str, amount: Decimal, **fields: Any
) -> Grant:
    """Give a customer units of a metered feature beside its limit.

    customer: external_id. feature: its code. fields: priority, effective_at, expires_at, recurrence, recurrence_count,
    max_rollover, min_rollover, reason.
    Raises Problem not_found or input_invalid.

    A grant that recurs begins with the present hour unless fields say when: usage is kept by the hour.

    500 every month from 31 January: 500 again on 28 February, 31 March, 30 April.
    """
    row = feature_for(tenant, feature)
    if row.kind != Feature.Kind.METERED:
        raise invalid("feature", f"{feature!r} is not metered and has no units.")
    units = {"amount": amount, **{name: fields.get(name) for name in ("max_rollover", "min_rollover")}}
    for field, value in units.items():
        if value is not None and value != round(value, row.decimal_places):
            raise invalid(
                field, f"has more than the {row.decimal_places} decimal places of the feature's units."
            )
    if fields.get("recurrence"):
        fields = {"effective_at": now().replace(minute=0, second=0, microsecond=0), **fields}
    grant = Grant(
        tenant=tenant,
        customer=found(Customer.objects.of(tenant), external_id=customer),
        feature=row,
        amount=amount,
        **fields,
    )
    if grant.recurrence and grant.effective_at < now() - BACKDATED_MAX:
        raise invalid(
            "effective_at",
            f"is more than {BACKDATED_MAX.days} days ago; let a grant that recurs begin at a later one of its instants.",
        )
    row_save(grant)
    touched(tenant=tenant, customer_ids=[grant.customer_id])
    audit_write(
        tenant=tenant, actor=actor, action="grant.created", subject=f"grant {grant}", after=fields_of(grant)
    )
    return grant


@transaction.atomic
def grant_revoke(*, tenant: Tenant, actor: str, grant_id: object) -> Grant:
    """Take back what is left of a grant; a second time changes nothing. Raises Problem not_found."""
    grant = grant_for(tenant, grant_id)
    if grant.revoked_at is None:
        grant.revoked_at = now()
        grant.save(update_fields=["revoked_at"])
        touched(tenant=tenant, customer_ids=[grant.customer_id])
        audit_write(
            tenant=tenant,
            actor=actor,
            action="grant.revoked",
            subject=f"grant {grant}",
            before={"revoked_at": None},
            after={"revoked_at": grant.revoked_at},
        )
    return grant
