"""What a customer has used and has left of each feature, and what windows took from a grant; for people, not for the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from ..burndown import Grant as GrantValue
from ..models import Grant
from .burn_downs import Burning, burnt_of
from .features import grants_for
from .terms import CustomerTerms, FeatureTerms, feature_terms
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
    """balance: what is left at the instant. history: the windows that took something, in order."""

    grant: Grant
    balance: Decimal
    history: tuple[GrantSegment, ...]


@dataclass(frozen=True, slots=True)
class GrantBalance:
    """balance: what is left at the instant. next_fill_at: when it begins or recurs next; None for never."""

    grant: Grant
    balance: Decimal
    next_fill_at: datetime | None


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


def grant_balances_of(tenant: Tenant, grants: Sequence[Grant], at: datetime) -> list[GrantBalance]:
    """What is left of each grant at an instant, and when it is filled again. grants: with customer and feature.

    What takes nothing has a grant whole: a feature without a limit, or one to which the customer is not entitled.
    """
    customers = {grant.customer_id: grant.customer for grant in grants}
    terms = feature_terms(tenant, list(customers.values()), at)
    balances = []
    for grant in grants:
        value = grant.grant(grant.customer.zone)
        has = terms[grant.customer_id].features.get(grant.feature.code)
        balances.append(GrantBalance(grant, _left_of(value, has, at), value.next_fill_at(at)))
    return balances


def grant_history_of(tenant: Tenant, grant: Grant, at: datetime) -> GrantHistory:
    """What is left of a grant, and which windows took the rest."""
    customer, code, key = grant.customer, grant.feature.code, str(grant.pk)
    has = feature_terms(tenant, [customer], at)[customer.pk].features.get(code)
    left = _left_of(grant.grant(customer.zone), has, at)
    if has is None or has.burnt is None:
        return GrantHistory(grant, left, ())
    rows = grants_for(tenant, customer=customer.external_id, feature=code)
    values = [row.grant(customer.zone) for row in rows]
    burning = Burning(customer, has.meter, has.in_force.limit, has.in_force, values, since=grant.effective_at)
    ((down, _),) = burnt_of(tenant, [burning], at)
    taken = [GrantSegment(one.window, one.taken[key]) for one in down.history if key in one.taken]
    return GrantHistory(grant, left, tuple(taken))


def _left_of(grant: GrantValue, has: FeatureTerms | None, at: datetime) -> Decimal:
    if has is not None and has.burnt is not None:
        return has.burnt.left[grant.key]
    return grant.amount if grant.is_alive(at) else ZERO


def _quantity(units: int, places: int) -> Decimal:
    """451 units of two places are 4.51."""
    return Decimal(units).scaleb(-places, context=EXACT)
