"""What a customer has used and has left of each feature, and what windows took from a grant; for people, not for the edge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from ..models import Grant
from .features import grants_for
from .terms import CustomerTerms, FeatureTerms, feature_terms, grants_burnt
from .usage import Asked, used_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """used: billed usage of the window in the feature's units; 0 of a feature that is not metered."""

    terms: FeatureTerms
    used: Decimal

    @property
    def remaining(self) -> Decimal | None:
        """Never below zero; None where there is no limit."""
        limit = self.terms.limit
        return None if limit is None else max(ZERO, EXACT.subtract(limit, self.used))


@dataclass(frozen=True, slots=True)
class CustomerBalances:
    """entitlements: what is in force, by feature code."""

    terms: CustomerTerms
    entitlements: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class GrantSegment:
    """What one window took from a grant."""

    window: Period
    taken: Decimal


@dataclass(frozen=True, slots=True)
class GrantHistory:
    """balance: what is left at the instant. history: the windows that took something, in order; taken + balance <= amount."""

    grant: Grant
    balance: Decimal
    history: tuple[GrantSegment, ...]


def balances_of(tenant: Tenant, customer: Customer, at: datetime) -> CustomerBalances:
    """What a customer may use at an instant, and how much of it is left.

    550 of 1,000 calls used in the window: used 550, remaining 450.
    """
    terms = feature_terms(tenant, [customer], at)[customer.pk]
    has = [terms.features[code] for code in sorted(terms.features)]
    metered = [
        Asked(customer.pk, one.meter, one.window.period, one.feature.decimal_places)
        for one in has
        if one.meter is not None
    ]
    units = iter(used_of(tenant, metered))
    return CustomerBalances(
        terms,
        tuple(
            Balance(one, ZERO if one.meter is None else _quantity(next(units), one.feature.decimal_places))
            for one in has
        ),
    )


def grant_history_of(tenant: Tenant, grant: Grant, at: datetime) -> GrantHistory:
    """What is left of a grant, and which windows took the rest. A feature without a limit takes nothing."""
    customer = grant.customer
    alive = grants_for(tenant, customer=customer.external_id, feature=grant.feature.code).filter(
        revoked_at=None
    )
    has = feature_terms(tenant, [customer], at)[customer.pk].features.get(grant.feature.code)
    if grant.revoked_at is not None:
        return GrantHistory(grant, ZERO, ())
    if has is None or has.meter is None or has.in_force.limit is None:
        is_over = grant.expires_at is not None and grant.expires_at <= at
        return GrantHistory(grant, ZERO if is_over or at < grant.effective_at else grant.amount, ())
    burnt = grants_burnt(tenant, customer, has.meter, has.in_force, list(alive), at)
    key = str(grant.pk)
    return GrantHistory(
        grant,
        burnt.left[key],
        tuple(GrantSegment(one.window, one.taken[key]) for one in burnt.history if key in one.taken),
    )


def _quantity(units: int, places: int) -> Decimal:
    """451 units of two places are 4.51."""
    return Decimal(units).scaleb(-places, context=EXACT)
