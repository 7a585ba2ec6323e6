"""What customers may use now: rules, holdings and grants put together; what the publisher makes records of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from metering.meters import Meter
from metering.selectors.usage import usage_of

from .. import burndown
from ..models import Entitlement, Feature, Grant, Holding, Standing
from ..resolution import Holding as HoldingValue
from ..resolution import InForce, Rule, in_force
from ..windows import Span, span_at

ZERO = Decimal(0)
# Of the windows before the present one, so many are looked at for what they took from grants.
WINDOWS_MAX = 240


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """What a customer has of one feature.

    limit: units of the window with grants, next_limit of the window after; None for no limit. window: where usage counts.
    in_force: which rules gave it. extra: the part of the limit that comes from grants.
    """

    feature: Feature
    meter: Meter | None
    in_force: InForce
    window: Span
    limit: Decimal | None
    next_limit: Decimal | None
    extra: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class CustomerTerms:
    """What a customer may use. plan: of its oldest subscription, for people to read. features: by code.

    next_change_at: when this becomes another without anybody doing anything (a rule or a grant begins or ends, a billing
    period turns); None for never.
    """

    customer: Customer
    is_active: bool
    plan: str
    is_wallet_empty: bool
    features: dict[str, FeatureTerms]
    next_change_at: datetime | None = None


def feature_terms(tenant: Tenant, customers: Sequence[Customer], at: datetime) -> dict[int, CustomerTerms]:
    """What each customer has at an instant, by its row. Five queries, and those for what was taken from grants."""
    ids = [customer.pk for customer in customers]
    features = {
        feature.code: feature
        for feature in Feature.objects.of(tenant).select_related("meter").filter(is_archived=False)
    }
    holdings: dict[int, list[HoldingValue]] = defaultdict(list)
    for row in Holding.objects.of(tenant).filter(customer__in=ids):
        holdings[row.customer_id].append(row.holding())
    empty = set(
        Standing.objects.of(tenant)
        .filter(customer__in=ids, is_wallet_empty=True)
        .values_list("customer", flat=True)
    )
    own, shared = _rules(tenant, customers)
    grants: dict[tuple[int, str], list[Grant]] = defaultdict(list)
    for grant in Grant.objects.of(tenant).filter(customer__in=ids, revoked_at=None).select_related("feature"):
        grants[grant.customer_id, grant.feature.code].append(grant)
    terms = {}
    for customer in customers:
        held = holdings[customer.pk]
        rules = [*shared, *own[customer.external_id]]
        found = in_force(rules, customer=customer.external_id, holdings=held, at=at)
        active = [one for one in held if one.is_active]
        oldest = min(active, key=lambda one: (one.started_at, one.subscription), default=None)
        terms[customer.pk] = CustomerTerms(
            customer=customer,
            is_active=bool(active) or not held,
            plan=", ".join(oldest.plans) if oldest else "",
            is_wallet_empty=customer.pk in empty,
            features={
                code: _terms_of(tenant, customer, features[code], one, grants[customer.pk, code], at)
                for code, one in found.items()
                if code in features
            },
            next_change_at=_next_change(
                rules, held, [one for code in found for one in grants[customer.pk, code]], at
            ),
        )
    return terms


def _rules(tenant: Tenant, customers: Sequence[Customer]) -> tuple[dict[str, list[Rule]], list[Rule]]:
    """The rules of these customers' own, by external_id, and those of plans, offerings and contracts."""
    is_own = Q(layer=Entitlement.Layer.CUSTOMER)
    names = [customer.external_id for customer in customers]
    rows = Entitlement.objects.of(tenant).select_related("feature").filter(~is_own | Q(owner__in=names))
    own: dict[str, list[Rule]] = defaultdict(list)
    shared = []
    # Of two rules of one owner the later one replaces the earlier one, from its start on.
    for row in rows.order_by("feature", "layer", "owner", "starts_at"):
        (own[row.owner] if row.layer == Entitlement.Layer.CUSTOMER else shared).append(row.rule())
    return {name: _replaced(own[name]) for name in names} | {}, _replaced(shared)


def _replaced(rules: Sequence[Rule]) -> list[Rule]:
    """Each rule ends where a later one of its owner begins."""
    groups: dict[tuple[str, str, str], list[Rule]] = defaultdict(list)
    for rule in rules:
        groups[rule.feature, rule.layer, rule.owner].append(rule)
    ended = []
    for group in groups.values():
        group.sort(key=lambda one: (one.starts_at is not None, one.starts_at))
        for rule, following in zip(group, [*group[1:], None], strict=True):
            ends = [at for at in (rule.ends_at, following.starts_at if following else None) if at is not None]
            ended.append(replace(rule, ends_at=min(ends, default=None)))
    return ended


def _terms_of(
    tenant: Tenant, customer: Customer, feature: Feature, has: InForce, grants: Sequence[Grant], at: datetime
) -> FeatureTerms:
    span = span_at(has.window, at, customer.zone, has.billing)
    meter = feature.meter.meter() if feature.meter is not None else None
    if has.limit is None or not grants or meter is None:
        return FeatureTerms(feature, meter, has, span, has.limit, has.limit)
    burnt = grants_burnt(tenant, customer, meter, has, grants, at)
    extra = burnt.extra_of(span.period)
    following = ZERO
    if span.resets_at is not None:
        alive = {str(one.pk) for one in grants if one.expires_at is None or one.expires_at > span.resets_at}
        following = sum((left for key, left in burnt.left.items() if key in alive), ZERO)
    return FeatureTerms(
        feature, meter, has, span, EXACT.add(has.limit, extra), EXACT.add(has.limit, following), extra
    )


def grants_burnt(
    tenant: Tenant, customer: Customer, meter: Meter, has: InForce, grants: Sequence[Grant], at: datetime
) -> burndown.BurnDown:
    """What the windows since the first grant have taken from a customer's grants of a feature, at the limit of now."""
    values = [
        burndown.Grant(
            str(one.pk), one.amount, one.priority, one.effective_at, one.expires_at, one.created_at
        )
        for one in grants
    ]
    excesses = []
    for period in _windows_since(min(one.effective_at for one in grants), has, customer, at):
        (used,) = usage_of(
            tenant=tenant, customer_id=customer.pk, meter=meter, period=period, zone=customer.zone
        )
        excesses.append(burndown.Excess(period, max(ZERO, EXACT.subtract(used.quantity, has.limit or ZERO))))
    return burndown.burnt_down(values, excesses, at)


def _windows_since(start: datetime, has: InForce, customer: Customer, at: datetime) -> list[Period]:
    """The windows from the one that holds *start* to the one that holds *at*. A window that slides takes nothing for good."""
    if has.window.kind == "SLIDING" or start > at:
        return []
    periods: list[Period] = []
    moment = at
    while len(periods) < WINDOWS_MAX:
        span = span_at(has.window, moment, customer.zone, has.billing)
        periods.append(span.period)
        if span.period.start <= start or span.resets_at is None:
            break
        moment = span.period.start - timedelta.resolution
    return periods[::-1]


def _next_change(
    rules: Sequence[Rule], held: Sequence[HoldingValue], grants: Sequence[Grant], at: datetime
) -> datetime | None:
    moments = [moment for rule in rules for moment in (rule.starts_at, rule.ends_at)]
    moments += [moment for grant in grants for moment in (grant.effective_at, grant.expires_at)]
    moments += [period.end for one in held for period in one.periods]
    return min((moment for moment in moments if moment is not None and moment > at), default=None)
