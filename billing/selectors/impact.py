"""Which bills change where usage changes: billing's answer to metering's `InvoiceImpact`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from aforo.kernel.periods import Period
from metering.aggregation import Aggregation
from metering.ports import TouchedPeriod

from ..models import Charge, Invoice, Subscription
from .periods import subscription_cycle


class SubscriptionImpact:
    """Answers from the rows, in four queries whatever it is asked for."""

    def periods_of(
        self, *, tenant_id: int, metric: str, instants: Mapping[int, Collection[datetime]]
    ) -> tuple[TouchedPeriod, ...]:
        """Every subscription that charges for the metric, and each period of it that holds one of the instants.

        1,000 calls of 3 March, subscribed since January, March invoiced as INV-000003: that March, with the number.
        """
        charging = _charging(tenant_id, metric)
        subscriptions = list(
            Subscription.objects.filter(
                tenant_id=tenant_id, customer_id__in=instants, items__plan_version_id__in=charging
            )
            .select_related("customer")
            .prefetch_related("items")
            .distinct()
        )
        numbers = _numbers(subscriptions)
        found = set()
        for subscription in subscriptions:
            issued = numbers.get(subscription.pk, {})
            lasts = any(charging.get(item.plan_version_id) for item in subscription.items.all())
            for period in _periods(subscription, instants[subscription.customer_id], issued, lasts):
                found.add(
                    TouchedPeriod(
                        subscription.customer_id, subscription.code, period, issued.get(period.start)
                    )
                )
        return tuple(sorted(found, key=lambda one: (one.customer_id, one.subscription, one.period)))


def _charging(tenant_id: int, metric: str) -> dict[UUID, bool]:
    """The plan versions that charge for the metric, and whether one of their meters is a level."""
    listening = Q(meter__event_name=metric) | Q(meter__event_name="", meter__key=metric)
    charging: dict[UUID, bool] = {}
    for version_id, aggregation in Charge.objects.filter(listening, tenant_id=tenant_id).values_list(
        "version_id", "meter__aggregation"
    ):
        is_level = aggregation == Aggregation.WEIGHTED_SUM
        charging[version_id] = charging.get(version_id, False) or is_level
    return charging


def _numbers(subscriptions: list[Subscription]) -> dict[UUID, dict[datetime, str]]:
    """The numbers of issued invoices, by subscription and start of the period."""
    rows = Invoice.objects.filter(
        subscription__in=subscriptions, sequence__isnull=False, kind=Invoice.Kind.PERIOD
    ).exclude(status=Invoice.Status.VOID)
    numbers: dict[UUID, dict[datetime, str]] = {}
    for subscription_id, start, number in rows.values_list("subscription_id", "period_start", "number"):
        numbers.setdefault(subscription_id, {})[start] = number
    return numbers


def _periods(
    subscription: Subscription, instants: Collection[datetime], issued: Collection[datetime], lasts: bool
) -> Iterator[Period]:
    cycle = subscription_cycle(subscription)
    inside = [at for at in instants if subscription.ends_at is None or at < subscription.ends_at]
    for at in inside:
        if subscription.starts_at <= at:
            yield cycle.period_at(at)
    if lasts and inside:
        for start in issued:
            if start > min(inside):
                yield cycle.period_at(start)
