"""Whether dead letters grow so fast that somebody should look: the definition stands in docs/metering/dead-letters.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import connection

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from ..models import OPEN, DeadLetter
from .profiles import metering_profile_for

WINDOW = timedelta(hours=1)
# Events are counted up to here; a share that would need more of them is taken for reached.
COUNTED_MAX = 500_000

_EVENTS = """
SELECT count(*) FROM (SELECT FROM metering_event WHERE tenant_id = %s AND received_at > %s LIMIT %s) AS received
"""


@dataclass(frozen=True, slots=True)
class Growth:
    """The last hour of a tenant.

    letters: dead letters received in it that wait still. events: accepted events received in it; counted only where the
    letters reach their threshold, and only as far as the share needs it: is_counted says whether they all were.
    letters_min, share_percent_min: the thresholds.
    """

    letters: int
    events: int
    is_counted: bool
    letters_min: int
    share_percent_min: Decimal

    @property
    def share_percent(self) -> Decimal | None:
        """Letters among what was received: 20 beside 80 events are 20. None where the events were not all counted."""
        received = self.letters + self.events
        if not self.is_counted or not received:
            return None
        return (Decimal(100 * self.letters) / received).quantize(Decimal("0.01"))

    @property
    def is_alarm(self) -> bool:
        """Whether both thresholds are reached."""
        is_share = 100 * self.letters >= self.share_percent_min * (self.letters + self.events)
        return self.letters >= self.letters_min and is_share

    def __str__(self) -> str:
        """120 dead letters in the last hour, 20.00 % of what was received"""
        share = self.share_percent
        said = f"{self.letters:,} dead letter{'' if self.letters == 1 else 's'} in the last hour"
        return said if share is None else f"{said}, {share} % of what was received"


def growth_for(tenant: Tenant) -> Growth:
    """Dead letters of the last hour against the thresholds of the tenant's metering profile.

    100 letters and 5 percent: 120 letters beside 2,280 events are 5 percent and an alarm; beside 2,281 they are not.
    """
    profile = metering_profile_for(tenant)
    since = now() - WINDOW
    letters = DeadLetter.objects.of(tenant).filter(status__in=OPEN, received_at__gt=since).count()
    events, is_counted = 0, False
    if letters >= profile.alert_letters_min and profile.alert_share_percent:
        # One event more than this, and the share is not reached.
        enough = math.floor(100 * letters / profile.alert_share_percent) - letters + 1
        if enough <= COUNTED_MAX:
            with connection.cursor() as cursor:
                cursor.execute(_EVENTS, [tenant.pk, since, enough])
                (events,) = cursor.fetchone()
            is_counted = events < enough
    return Growth(letters, events, is_counted, profile.alert_letters_min, profile.alert_share_percent)
