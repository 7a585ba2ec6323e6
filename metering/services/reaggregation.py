"""Reaggregation: some hours' buckets made anew from their events, where a sum alone could be subtracted and a maximum not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection

from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from ..buckets import bucket_lines, buckets_merge
from ..models import Bucket
from ..selectors.counted_events import counted_events
from ..selectors.meters import meters_listening


class UsageHour(NamedTuple):
    """A customer's usage of a metric in one UTC hour. customer_id: the customer's row. hour: its first instant."""

    customer_id: int
    metric: str
    hour: datetime


def hours_reaggregate(*, tenant: Tenant, hours: Iterable[UsageHour]) -> None:
    """Make these hours' buckets from the events that count, for every meter that listens today; touch nothing else.

    Take `locks.correction_locked` first, in the same transaction: events that are being stored would be missed.
    """
    for customer_id, metric, hour in sorted(set(hours)):
        # Asked anew: what memory knows of meters may be a second old.
        meters = tuple(row.meter() for row in meters_listening(tenant, metric))
        events = counted_events(
            tenant=tenant,
            customer_id=customer_id,
            metric=metric,
            pieces=[Period(hour, hour + timedelta(hours=1))],
        )
        lines = bucket_lines((event, customer_id, meters) for event in events)
        with connection.cursor() as cursor:
            # Of whatever dimensions: a meter may have had others when the events came.
            Bucket.objects.filter(
                tenant=tenant, customer_id=customer_id, meter__in=[meter.id for meter in meters], hour=hour
            ).delete()
            buckets_merge(cursor, lines)
