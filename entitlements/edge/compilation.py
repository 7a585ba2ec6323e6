"""Rows to records: what the edge is told of a tenant, its keys and its customers, as everything stands at an instant.

The records are of version 0 and have no as_of: the feed gives both to those that say something new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aforo.tenancy.models import ApiKey, Customer, Tenant

from ..margin import MarginStanding
from ..records import (
    CustomerRecord,
    EdgeRecord,
    FeatureRecord,
    KeyRecord,
    LeaseRecord,
    TenantRecord,
    milliseconds,
)
from ..selectors.features import edge_policy_for, features_for
from ..selectors.leases import leases_of
from ..selectors.margin import margin_standing
from ..selectors.terms import CustomerTerms, FeatureTerms, feature_terms
from ..selectors.usage import Asked, used_of

# A sliding window moves all the time; what has left it is seen so late, or by the next usage.
SLIDING_EVERY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Some customers' records. due: when time alone will make other ones of them, by the customer's row."""

    records: tuple[EdgeRecord, ...]
    due: dict[int, datetime]


def tenant_record(tenant: Tenant) -> TenantRecord:
    policy = edge_policy_for(tenant)
    features = list(features_for(tenant, is_archived=False).order_by("code"))
    return TenantRecord(
        tenant=tenant.path,
        version=0,
        on_unknown=policy.on_unknown,
        max_stale_s=policy.max_stale_s,
        features={feature.code: feature.kind.lower() for feature in features},
        places={feature.code: feature.decimal_places for feature in features if feature.decimal_places},
    )


def key_records(keys: Iterable[ApiKey]) -> list[EdgeRecord]:
    """keys: with their tenants."""
    return [
        KeyRecord(
            public_id=key.public_id,
            version=0,
            secret_hash=key.secret_hash,
            tenant=key.tenant.path,
            key_id=str(key.pk),
            scopes=tuple(key.scopes),
            rate_limit_per_s=key.rate_limit_per_s,
            expires_at_ms=None if key.expires_at is None else milliseconds(key.expires_at),
            is_revoked=key.revoked_at is not None,
        )
        for key in keys
    ]


def customer_records(tenant: Tenant, customers: Sequence[Customer], at: datetime) -> Compiled:
    """Of each customer its own record and one for each feature it is entitled to; a fixed number of queries."""
    terms = feature_terms(tenant, customers, at)
    margins = margin_standing(tenant, [customer.pk for customer in customers])
    metered = [
        (customer.pk, code, feature)
        for customer in customers
        for code, feature in terms[customer.pk].features.items()
        if feature.meter is not None
    ]
    # The leases first: units that are billed meanwhile count twice for a moment, and never not at all.
    leases = leases_of(tenant, [(pk, code, feature.window.period.start) for pk, code, feature in metered])
    used = used_of(
        tenant,
        [
            Asked(pk, feature.meter, feature.window.period, feature.feature.decimal_places)
            for pk, _, feature in metered
        ],
    )
    counted = {(pk, code): units for (pk, code, _), units in zip(metered, used, strict=True)}
    records: list[EdgeRecord] = []
    due: dict[int, datetime] = {}
    for customer in customers:
        has = terms[customer.pk]
        records.append(_customer(tenant, customer, has, margins.get(customer.pk)))
        for code, feature in has.features.items():
            of_window = leases.get((customer.pk, code, feature.window.period.start), ())
            used_units = counted.get((customer.pk, code), 0)
            records.append(_feature(tenant, customer, code, feature, used_units, of_window))
        instants = [has.next_change_at, *(feature.window.resets_at for feature in has.features.values())]
        if any(_is_sliding(feature) for feature in has.features.values()):
            instants.append(at + SLIDING_EVERY)
        if soonest := min(filter(None, instants), default=None):
            due[customer.pk] = soonest
    return Compiled(tuple(records), due)


def _is_sliding(feature: FeatureTerms) -> bool:
    return feature.meter is not None and feature.in_force.window.kind == "SLIDING"


def _customer(
    tenant: Tenant, customer: Customer, terms: CustomerTerms, margin: MarginStanding | None
) -> CustomerRecord:
    told = {}
    if margin is not None:
        told = {
            "margin_level": margin.level,
            "margin_action": margin.action,
            "throttle_percent": margin.throttle_percent,
            "retry_after_s": margin.retry_after_s,
            "downgrades": dict(margin.downgrades),
        }
    return CustomerRecord(
        tenant=tenant.path,
        customer=customer.external_id,
        version=0,
        as_of_ms=0,
        is_active=terms.is_active,
        plan=terms.plan,
        is_wallet_empty=terms.is_wallet_empty,
        **told,
    )


def _feature(
    tenant: Tenant,
    customer: Customer,
    code: str,
    feature: FeatureTerms,
    used: int,
    leases: tuple[LeaseRecord, ...],
) -> FeatureRecord:
    places = feature.feature.decimal_places
    is_metered = feature.meter is not None
    told = {}
    # The start of a window that slides moves with the clock, and a site has no use for it.
    if is_metered and feature.window.resets_at is not None:
        told = {
            "window_start_ms": milliseconds(feature.window.period.start),
            "window_end_ms": milliseconds(feature.window.resets_at),
        }
        if feature.window.next_resets_at is not None:
            told["next_window_end_ms"] = milliseconds(feature.window.next_resets_at)
    return FeatureRecord(
        tenant=tenant.path,
        customer=customer.external_id,
        feature=code,
        version=0,
        as_of_ms=0,
        kind=feature.feature.kind.lower(),
        value=feature.in_force.value or None,
        limit=_scaled(feature.limit, places) if is_metered else None,
        limit_type=feature.in_force.limit_type,
        used=used,
        places=places,
        next_limit=_scaled(feature.next_limit, places) if is_metered else None,
        plan=", ".join(sorted({rule.owner for rule in feature.in_force.rules if rule.layer == "PLAN"})),
        leases=leases,
        **told,
    )


def _scaled(limit: Decimal | None, places: int) -> int | None:
    """Whole units of 10 to the minus places, rounded down: 4.509 GB of two places are 450."""
    return None if limit is None else int(limit.scaleb(places))
