"""Features: made, edited, put away; and what gateways do where they do not know. Every change is audited."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.audit.services import audit_write
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save
from metering.selectors.meters import meter_for

from ..models import EdgePolicy, Feature
from ..selectors.features import edge_policy_for, feature_for
from .changes import change_write, fields_of
from .touched import touched

# What gateways have been told is not turned into something else.
FIXED = ("kind", "decimal_places")


@transaction.atomic
def feature_create(
    *,
    tenant: Tenant,
    actor: str,
    code: str,
    name: str,
    kind: str,
    meter: str | None = None,
    **fields: Any,
) -> Feature:
    """Make a feature.

    kind: BOOLEAN, STATIC or METERED, which has a meter (its key). fields: description, unit, decimal_places.
    Raises Problem input_invalid, already_exists, or not_found for the meter.
    """
    row = None if meter is None else meter_for(tenant, meter)
    feature = Feature(tenant=tenant, code=code, name=name, kind=kind, meter=row, **fields)
    row_save(feature)
    touched(tenant=tenant, customer_ids=None)
    audit_write(
        tenant=tenant,
        actor=actor,
        action="feature.created",
        subject=f"feature {code}",
        after=fields_of(feature),
    )
    return feature


@transaction.atomic
def feature_edit(*, tenant: Tenant, actor: str, code: str, **fields: Any) -> Feature:
    """Change name, description, unit, is_archived, or meter (a key).

    Raises Problem not_found, input_invalid, or state_conflict for what cannot change: kind and decimal places.
    """
    feature = feature_for(tenant, code)
    before = fields_of(feature)
    for field, value in fields.items():
        if field in FIXED and value != getattr(feature, field):
            raise Problem(
                "state_conflict", f"The {field} of a feature does not change; make another feature."
            )
        setattr(
            feature, field, meter_for(tenant, value) if field == "meter" and isinstance(value, str) else value
        )
    row_save(feature)
    touched(tenant=tenant, customer_ids=None)
    change_write(
        tenant=tenant,
        actor=actor,
        action="feature.edited",
        subject=f"feature {code}",
        before=before,
        after=fields_of(feature),
    )
    return feature


@transaction.atomic
def edge_policy_set(*, tenant: Tenant, actor: str, **fields: Any) -> EdgePolicy:
    """Set on_unknown ("allow" or "deny") and max_stale_s. Raises Problem input_invalid."""
    policy = edge_policy_for(tenant)
    before = fields_of(policy)
    for field, value in fields.items():
        setattr(policy, field, value)
    row_save(policy)
    touched(tenant=tenant, customer_ids=None)
    change_write(
        tenant=tenant,
        actor=actor,
        action="edge_policy.edited",
        subject="edge policy",
        before=before,
        after=fields_of(policy),
    )
    return policy
