"""A subscription's periods: their boundaries, the part that is billed, and which of them a window holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from aforo.kernel.cycles import Cycle
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, last_day, local_midnight, month_later

from ..models import Subscription
from ..models.catalog import Interval

# Events are accepted for 90 days; so long after its last period, and for a month's bill run, a subscription is looked at.
LOOKED_AFTER = timedelta(days=120)


def month_window(text: str) -> tuple[date, date]:
    """The days of a month written as YYYY-MM: its first, and the first of the next. Raises Problem input_invalid."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        sentence = f"{text!r} is no month; write it like 2026-03."
        raise Problem("input_invalid", f"period: {sentence}", errors={"period": [sentence]}) from None
    return first, month_later(first, 1)


def subscription_cycle(subscription: Subscription) -> Cycle:
    """The boundaries of its periods, in its customer's zone."""
    return Cycle(subscription.interval, subscription.anchor_on, subscription.customer.zone)


def billed_period(subscription: Subscription, period: Period) -> Period | None:
    """The part of a period in which the subscription ran; None where it did not."""
    start = max(period.start, subscription.starts_at)
    end = period.end if subscription.ends_at is None else min(period.end, subscription.ends_at)
    return Period(start, end) if start < end else None


def periods_ending_in(subscription: Subscription, *, starts_on: date, ends_on: date) -> Iterator[Period]:
    """The subscription's whole periods whose last billed local day lies in [starts_on, ends_on), in order.

    Anchor on the 15th, window March 2026: [15 February, 15 March). If it was cancelled on 20 March, also
    [15 March, 15 April), of which five days are billed.
    """
    zone = subscription.customer.zone
    cycle = subscription_cycle(subscription)
    index = cycle.index_at(local_midnight(starts_on, zone))
    while (period := cycle.period(index)).start < local_midnight(ends_on, zone):
        billed = billed_period(subscription, period)
        if billed is not None and starts_on <= last_day(billed, zone) < ends_on:
            yield period
        index += 1


def periods_after_end(subscription: Subscription, *, starts_on: date, ends_on: date) -> Iterator[Period]:
    """The months after a subscription's last period whose last local day lies in [starts_on, ends_on), in order.

    Nothing runs in them; they are where the differences of its closed periods are billed. Cancelled on 20 March 2026,
    window April: [1 April, 1 May). From the fourth month after the last period on there is none.
    """
    ended_at = subscription.ends_at
    if ended_at is None or ended_at <= subscription.starts_at:
        return
    zone = subscription.customer.zone
    # The last period may be a year that was left in March; its boundaries are those of months, too.
    over_at = subscription_cycle(subscription).period_at(ended_at - timedelta.resolution).end
    cycle = Cycle(Interval.MONTH, subscription.anchor_on, zone)
    index = cycle.index_at(local_midnight(starts_on, zone))
    while (period := cycle.period(index)).start < local_midnight(ends_on, zone):
        is_after = over_at <= period.start < over_at + LOOKED_AFTER
        if is_after and starts_on <= last_day(period, zone) < ends_on:
            yield period
        index += 1


def has_ended(subscription: Subscription, period: Period) -> bool:
    """Whether the subscription had run, and was over when the period began."""
    ended_at = subscription.ends_at
    return ended_at is not None and subscription.starts_at < ended_at <= period.start
