"""What customers may use now: rules, holdings and grants put together; what the publisher makes records of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.db.models import Case, Q, When
from django.db.models.expressions import RawSQL

from aforo.kernel.decimals import EXACT
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import listed
from metering.meters import Meter

from ..burndown import BurnDown
from ..burndown import Grant as GrantValue
from ..models import Entitlement, Feature, Grant, Holding, Standing
from ..resolution import Holding as HoldingValue
from ..resolution import InForce, Owner, Rule, Rulebook
from ..windows import Span, span_at
from .burn_downs import Burning, burnt_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """What a customer has of one feature.

    limit: units of the window with grants, next_limit of the window after; None for no limit. window: where usage counts.
    in_force: which rules gave it. extra: the part of the limit that comes from grants. burnt: what was taken from them, and
    what is left; None where there are none.
    """

    feature: Feature
    meter: Meter | None
    in_force: InForce
    window: Span
    limit: Decimal | None
    next_limit: Decimal | None
    extra: Decimal = ZERO
    burnt: BurnDown | None = None


@dataclass(frozen=True, slots=True)
class CustomerTerms:
    """What a customer may use. plan: of its oldest subscription, for people to read. features: by code.

    next_change_at: when this becomes another without anybody doing anything, because a rule or a grant begins or ends, or a
    grant recurs; None for never. When windows turn, each of them says.
    """

    customer: Customer
    is_active: bool
    plan: str
    is_wallet_empty: bool
    features: dict[str, FeatureTerms]
    next_change_at: datetime | None = None


def feature_terms(tenant: Tenant, customers: Sequence[Customer], at: datetime) -> dict[int, CustomerTerms]:
    """What each customer has at an instant, by its row; a fixed number of queries where grants are of what counts or sums."""
    ids = [customer.pk for customer in customers]
    features = {
        feature.code: feature
        for feature in Feature.objects.of(tenant).select_related("meter").filter(is_archived=False)
    }

    @cache
    def meter_of(code: str) -> Meter | None:
        row = features[code].meter
        return None if row is None else row.meter()

    grants: dict[tuple[int, str], list[GrantValue]] = defaultdict(list)
    zones = {customer.pk: customer.zone for customer in customers}
    for grant in Grant.objects.of(tenant).filter(customer__in=listed(ids)).select_related("feature"):
        grants[grant.customer_id, grant.feature.code].append(grant.grant(zones[grant.customer_id]))
    holdings = _holdings(tenant, ids, {customer_id for customer_id, _ in grants}, at)
    empty = set(
        Standing.objects.of(tenant)
        .filter(customer__in=listed(ids), is_wallet_empty=True)
        .values_list("customer", flat=True)
    )
    rules = Rulebook(_rules(tenant, customers, holdings, list(features.values())), at)
    terms = {}
    for customer in customers:
        name, held = customer.external_id, holdings[customer.pk]
        found = rules.in_force(name, held)
        active = [one for one in held if one.is_active]
        oldest = min(active, key=lambda one: (one.started_at, one.subscription), default=None)
        terms[customer.pk] = CustomerTerms(
            customer=customer,
            is_active=bool(active) or not held,
            plan=", ".join(oldest.plans) if oldest else "",
            is_wallet_empty=customer.pk in empty,
            features={
                code: _terms_of(features[code], meter_of(code), one, customer.zone, at)
                for code, one in found.items()
            },
            next_change_at=_next_change(
                rules.changes_at(name, held),
                [one for code in found for one in grants.get((customer.pk, code), ())],
                at,
            ),
        )
    _grants_add(tenant, terms, grants, at)
    return terms


# Of the boundaries the one before an instant, or the first, and two more: the present period and the one after.
_AROUND = "boundaries[width_bucket(%s, boundaries) : width_bucket(%s, boundaries) + 2]"


def _holdings(
    tenant: Tenant, customer_ids: Collection[int], granted: Collection[int], at: datetime
) -> dict[int, list[HoldingValue]]:
    """What each of these customers holds, by its row.

    granted: those who have grants, whose past periods count, too; of the others the periods around the instant are read,
    because five years of them take longer than all else.
    """
    boundaries = Case(
        When(customer__in=granted, then="boundaries"),
        default=RawSQL(_AROUND, [at, at], output_field=Holding._meta.get_field("boundaries")),
    )
    rows = Holding.objects.of(tenant).filter(customer__in=listed(customer_ids)).defer("boundaries")
    holdings: dict[int, list[HoldingValue]] = defaultdict(list)
    for row in rows.annotate(around=boundaries):
        row.boundaries = row.around
        holdings[row.customer_id].append(row.holding())
    return holdings


def _rules(
    tenant: Tenant,
    customers: Sequence[Customer],
    holdings: Mapping[int, Sequence[HoldingValue]],
    features: Sequence[Feature],
) -> list[Rule]:
    """The rules on these features that may say something of these customers: their own, and those of what they hold."""
    feature_by_id = {feature.pk: feature for feature in features}
    owners: dict[str, set[str]] = defaultdict(set)
    owners[Entitlement.Layer.CUSTOMER] = {customer.external_id for customer in customers}
    for held in holdings.values():
        for holding in held:
            for layer, owner in holding.owners:
                owners[layer].add(owner)
    is_theirs = Q()
    for layer, names in owners.items():
        is_theirs |= Q(layer=layer, owner__in=listed(names))
    rules = []
    for row in Entitlement.objects.of(tenant).filter(is_theirs).defer("created_at"):
        # One that was made after the features were read is for the next time.
        if row.feature_id in feature_by_id:
            row.feature = feature_by_id[row.feature_id]
            rules.append(row.rule())
    return _replaced(rules)


def _replaced(rules: Iterable[Rule]) -> list[Rule]:
    """Of two rules of one owner the later one replaces the earlier one, from its start on."""
    groups: dict[tuple[str, Owner], list[Rule]] = defaultdict(list)
    for rule in rules:
        groups[rule.feature, (rule.layer, rule.owner)].append(rule)
    ended = []
    for group in groups.values():
        group.sort(key=lambda one: (one.starts_at is not None, one.starts_at))
        for rule, following in pairwise(group):
            ends = [at for at in (rule.ends_at, following.starts_at) if at is not None]
            ended.append(replace(rule, ends_at=min(ends, default=None)))
        ended.append(group[-1])
    return ended


def _terms_of(
    feature: Feature, meter: Meter | None, has: InForce, zone: ZoneInfo, at: datetime
) -> FeatureTerms:
    """Without grants."""
    return FeatureTerms(feature, meter, has, span_at(has.window, at, zone, has.billing), has.limit, has.limit)


def _grants_add(
    tenant: Tenant,
    terms: dict[int, CustomerTerms],
    grants: dict[tuple[int, str], list[GrantValue]],
    at: datetime,
) -> None:
    """Put what grants give into the limits of the features that have any."""
    burning: list[tuple[FeatureTerms, Burning]] = []
    for (customer_id, code), values in grants.items():
        has = terms[customer_id].features.get(code)
        if has is not None and has.meter is not None and has.limit is not None:
            customer, since = terms[customer_id].customer, has.window.period.start
            burning.append((has, Burning(customer, has.meter, has.limit, has.in_force, values, since)))
    burnt = burnt_of(tenant, [one for _, one in burning], at)
    for (has, one), (down, for_next) in zip(burning, burnt, strict=True):
        extra = down.extra_of(has.window.period)
        terms[one.customer.pk].features[has.feature.code] = replace(
            has,
            limit=EXACT.add(one.limit, extra),
            next_limit=EXACT.add(one.limit, for_next),
            extra=extra,
            burnt=down,
        )


def _next_change(of_rules: datetime | None, grants: Sequence[GrantValue], at: datetime) -> datetime | None:
    moments = [of_rules]
    moments += [moment for grant in grants for moment in (grant.next_fill_at(at), grant.ends_at)]
    return min((moment for moment in moments if moment is not None and moment > at), default=None)
