"""The doors to features, entitlements, grants and the edge policy; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import EdgePolicy, Entitlement, Feature, Grant


def features_for(
    tenant: Tenant, *, kind: str | None = None, is_archived: bool | None = None
) -> QuerySet[Feature]:
    """With their meters."""
    return (
        Feature.objects.of(tenant).select_related("meter").filter(**given(kind=kind, is_archived=is_archived))
    )


def feature_for(tenant: Tenant, code: str) -> Feature:
    """Raises Problem not_found."""
    return found(features_for(tenant), code=code)


def entitlements_for(
    tenant: Tenant, *, feature: str | None = None, layer: str | None = None, owner: str | None = None
) -> QuerySet[Entitlement]:
    """With their features. feature: its code."""
    rows = Entitlement.objects.of(tenant).select_related("feature__meter")
    return rows.filter(**given(feature__code=feature, layer=layer, owner=owner))


def entitlement_for(tenant: Tenant, entitlement_id: object) -> Entitlement:
    """Raises Problem not_found."""
    return found(entitlements_for(tenant), pk=entitlement_id)


def grants_for(
    tenant: Tenant,
    *,
    customer: str | None = None,
    feature: str | None = None,
    recurrence: str | None = None,
    state: str | None = None,
) -> QuerySet[Grant]:
    """With customer and feature. customer: external_id. feature: its code. recurrence: "" for none. state: of Grant.State."""
    rows = Grant.objects.of(tenant).select_related("customer", "feature__meter")
    rows = rows.filter(**given(customer__external_id=customer, feature__code=feature, recurrence=recurrence))
    return rows if state is None else rows.filter(in_state(state, now()))


def in_state(state: str, at: datetime) -> Q:
    """The grants that are in a state of Grant.State at an instant. A state that there is not has none."""
    is_revoked = Q(revoked_at__isnull=False)
    is_expired = Q(expires_at__isnull=False, expires_at__lte=at)
    is_scheduled = Q(effective_at__gt=at)
    match state:
        case Grant.State.REVOKED:
            return is_revoked
        case Grant.State.EXPIRED:
            return ~is_revoked & is_expired
        case Grant.State.SCHEDULED:
            return ~is_revoked & is_scheduled
        case Grant.State.ACTIVE:
            return ~is_revoked & ~is_expired & ~is_scheduled
        case _:
            return Q(pk__in=())


def grant_for(tenant: Tenant, grant_id: object) -> Grant:
    """Raises Problem not_found."""
    return found(grants_for(tenant), pk=grant_id)


def metrics_counted(tenant_ids: Collection[int]) -> set[tuple[int, str]]:
    """Tenant and metric of all that metered features count; one query."""
    rows = Feature.objects.filter(tenant__in=tenant_ids, is_archived=False, meter__isnull=False)
    return {
        (tenant_id, event_name or key)
        for tenant_id, event_name, key in rows.values_list("tenant", "meter__event_name", "meter__key")
    }


def edge_policy_for(tenant: Tenant) -> EdgePolicy:
    """What was set, or else the defaults, unsaved: allow, a day."""
    return EdgePolicy.objects.of(tenant).first() or EdgePolicy(tenant=tenant)
