"""Entitlements: what a plan, an offering, a contract or a customer has of a feature. Every change is audited."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q

from aforo.audit.services import audit_write
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..models import Entitlement, Holding
from ..ports import entitlement_owners
from ..selectors.features import entitlement_for, feature_for
from .changes import change_write, fields_of
from .touched import touched


@transaction.atomic
def entitlement_create(
    *, tenant: Tenant, actor: str, feature: str, layer: str, owner: str, **fields: Any
) -> Entitlement:
    """Give a feature to, or take it from, everybody who holds the owner.

    feature: its code. layer: PLAN, OFFERING, CONTRACT or CUSTOMER. owner: code, or external_id of the customer.
    fields: is_granted, limit, value, limit_type, window, window_unit, window_s, starts_at, ends_at.
    Raises Problem not_found for the feature, input_invalid, or already_exists for a second one of the owner at that start.
    """
    row = Entitlement(tenant=tenant, feature=feature_for(tenant, feature), layer=layer, owner=owner, **fields)
    owner_check(tenant, layer, owner)
    row_save(row)
    _told(row)
    audit_write(
        tenant=tenant,
        actor=actor,
        action="entitlement.created",
        subject=f"entitlement {row}",
        after=fields_of(row),
    )
    return row


@transaction.atomic
def entitlement_edit(*, tenant: Tenant, actor: str, entitlement_id: object, **fields: Any) -> Entitlement:
    """Change what an entitlement gives, at once. Raises Problem not_found, input_invalid or already_exists."""
    row = entitlement_for(tenant, entitlement_id)
    before = fields_of(row)
    for field in ("layer", "owner", "feature"):
        if field in fields:
            raise Problem(
                "state_conflict", f"The {field} of an entitlement does not change; make another one."
            )
    for field, value in fields.items():
        setattr(row, field, value)
    row_save(row)
    _told(row)
    change_write(
        tenant=tenant,
        actor=actor,
        action="entitlement.edited",
        subject=f"entitlement {row}",
        before=before,
        after=fields_of(row),
    )
    return row


@transaction.atomic
def entitlement_remove(*, tenant: Tenant, actor: str, entitlement_id: object) -> None:
    """Let a lower layer decide again, at once. Raises Problem not_found."""
    row = entitlement_for(tenant, entitlement_id)
    _told(row)
    before = fields_of(row)
    row.delete()
    audit_write(
        tenant=tenant,
        actor=actor,
        action="entitlement.removed",
        subject=f"entitlement {row}",
        before=before,
    )


def owner_check(tenant: Tenant, layer: str, owner: str) -> None:
    """Raises Problem input_invalid where the tenant has no such plan, offering, contract or customer."""
    if layer == Entitlement.Layer.CUSTOMER:
        is_known = Customer.objects.of(tenant).filter(external_id=owner).exists()
    else:
        is_known = owner in {code for code, _ in entitlement_owners().codes(tenant, layer)}  # type: ignore[arg-type]
    if not is_known and layer in Entitlement.Layer.values:
        raise invalid("owner", f"{owner!r} is no {layer.lower()} of yours.")


def _told(row: Entitlement) -> None:
    """News for those whom the rule concerns, now or from its start on."""
    tenant = row.tenant
    if row.layer == Entitlement.Layer.CUSTOMER:
        customers = Customer.objects.of(tenant).filter(external_id=row.owner).values_list("pk", flat=True)
    else:
        holders = {
            Entitlement.Layer.PLAN: Q(plans__contains=[row.owner]),
            Entitlement.Layer.OFFERING: Q(offerings__contains=[row.owner]),
            Entitlement.Layer.CONTRACT: Q(contracts__contains=[row.owner]),
        }[Entitlement.Layer(row.layer)]
        customers = Holding.objects.of(tenant).filter(holders).values_list("customer", flat=True).distinct()
    touched(tenant=tenant, customer_ids=set(customers))
