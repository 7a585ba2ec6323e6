"""What a customer has bought, at an instant: billing's answer to metering's `CustomerDirectory`.

The writer asks once an event, so the answer comes from memory. A customer's subscriptions are read once and kept;
what changes is asked once a second and tenant: which meters listen to what, and which subscriptions were touched.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from metering.ports import Bought, UsageContext

from ..models import Charge, SubscriptionItem

CHECKED_S = 0.8
# A subscription's transaction may commit so long after it wrote the row, and is noticed still.
COMMITTED_WITHIN = timedelta(seconds=60)
# A slower one is noticed by then.
KEPT_S = 600
CUSTOMERS_KEPT_MAX = 200_000
NOTHING = UsageContext()


@dataclass(frozen=True, slots=True)
class _Held:
    """What a subscription holds from starts_at until ends_at, and the meters that it charges for.

    runs_until: the subscription's own end.
    """

    starts_at: datetime
    ends_at: datetime | None
    runs_until: datetime | None
    meters: frozenset[int]
    context: UsageContext


@dataclass(slots=True)
class _TenantTable:
    kept_since_s: float
    checked_at_s: float = float("-inf")
    # By metric: the meters that listen to it.
    listening: dict[str, frozenset[int]] = field(default_factory=dict)
    # By customer: latest start first.
    bought: dict[int, tuple[_Held, ...]] = field(default_factory=dict)
    # By customer: when each subscription was last touched, as text to compare, of those that were noticed lately.
    noticed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """Of some customers, as of now; the table goes on changing under other threads."""

    listening: dict[str, frozenset[int]]
    bought: dict[int, tuple[_Held, ...]]

    def context_at(self, customer_id: int, metric: str, at: datetime) -> UsageContext:
        """What is held at the instant and charges for a meter listening to the metric.

        Of several, what is held since last. While a subscription is paused, what it held before names the event.
        """
        listening = self.listening.get(metric)
        if listening is None:
            return NOTHING
        before = NOTHING
        for each in self.bought[customer_id]:
            runs = each.starts_at <= at and (each.runs_until is None or at < each.runs_until)
            if runs and not listening.isdisjoint(each.meters):
                if each.ends_at is None or at < each.ends_at:
                    return each.context
                if before is NOTHING:
                    before = each.context
        return before


class SubscriptionDirectory:
    """Answers for every tenant; one a process. Nothing it says is more than a second old."""

    def __init__(self) -> None:
        self._tables: dict[int, _TenantTable] = {}

    def bought_by(self, *, tenant_id: int, customer_ids: Collection[int]) -> Bought:
        table = self._table(tenant_id)
        known = {number: found for number in customer_ids if (found := table.bought.get(number)) is not None}
        missing = set(customer_ids) - known.keys()
        if missing:
            read = _read(tenant_id, missing)
            table.bought |= read
            known |= read
        return _Known(table.listening, known)

    def _table(self, tenant_id: int) -> _TenantTable:
        # Taken before the queries: a change that commits meanwhile is noticed no later than its time.
        at_s = time.monotonic()
        table = self._tables.get(tenant_id)
        if table is None or at_s - table.kept_since_s > KEPT_S or len(table.bought) >= CUSTOMERS_KEPT_MAX:
            table = self._tables[tenant_id] = _TenantTable(kept_since_s=at_s)
        if at_s - table.checked_at_s > CHECKED_S:
            _check(tenant_id, table)
            table.checked_at_s = at_s
        return table


def _check(tenant_id: int, table: _TenantTable) -> None:
    """Read the meters anew, and forget the customers whose subscriptions were touched since the last check."""
    listening: dict[str, set[int]] = {}
    priced = (
        Charge.objects.filter(tenant_id=tenant_id, meter__isnull=False)
        .values_list("meter_id", "meter__key", "meter__event_name")
        .distinct()
    )
    for meter_id, key, event_name in priced:
        listening.setdefault(event_name or key, set()).add(meter_id)
    table.listening = {metric: frozenset(meters) for metric, meters in listening.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, array_agg(touched_at ORDER BY id)::text FROM billing_subscription"
            " WHERE tenant_id = %s AND touched_at > clock_timestamp() - %s GROUP BY customer_id",
            [tenant_id, COMMITTED_WITHIN],
        )
        touched = dict(cursor.fetchall())
    for customer_id, touched_at in touched.items():
        if table.noticed.get(customer_id) != touched_at:
            table.bought.pop(customer_id, None)
    table.noticed = touched


def _read(tenant_id: int, customer_ids: Set[int]) -> dict[int, tuple[_Held, ...]]:
    rows = list(
        SubscriptionItem.objects.filter(tenant_id=tenant_id, subscription__customer_id__in=customer_ids)
        .order_by("-starts_at", "subscription__code", "plan_version__plan__code")
        .values_list(
            "subscription__customer_id",
            "subscription_id",
            "starts_at",
            "ends_at",
            "subscription__ends_at",
            "plan_version_id",
            "plan_version__plan__product__code",
        )
    )
    metered: dict[object, set[int]] = {}
    charges = Charge.objects.filter(version_id__in={row[5] for row in rows}, meter__isnull=False)
    for version_id, meter_id in charges.values_list("version_id", "meter_id"):
        metered.setdefault(version_id, set()).add(meter_id)
    bought: dict[int, list[_Held]] = {customer_id: [] for customer_id in customer_ids}
    for customer_id, subscription_id, starts_at, ends_at, runs_until, version_id, product in rows:
        context = UsageContext(subscription_id, version_id, product)
        meters = frozenset(metered.get(version_id, ()))
        bought[customer_id].append(_Held(starts_at, ends_at, runs_until, meters, context))
    return {customer_id: tuple(found) for customer_id, found in bought.items()}
