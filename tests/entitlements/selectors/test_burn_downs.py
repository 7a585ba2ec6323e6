"""Grants burnt down by billed usage: recurring, rolled over, revoked, and looked back at."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from entitlements.decision import at_instant
from entitlements.edge.compilation import customer_records
from entitlements.models import Grant, Holding
from entitlements.records import FeatureRecord, milliseconds
from entitlements.selectors.balances import grant_balances_of, grant_history_of
from entitlements.selectors.features import grants_for
from entitlements.selectors.terms import CustomerTerms, feature_terms
from entitlements.services.entitlements import entitlement_create
from entitlements.services.grants import grant_create, grant_revoke
from metering.batch import store
from metering.models import ArchiveFile, Bucket
from tests.entitlements.edge.shops import limited
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, meter, workspace

pytestmark = pytest.mark.django_db

D = Decimal
FEBRUARY, MARCH, APRIL, MAY = (datetime(2026, number, 1, tzinfo=UTC) for number in (2, 3, 4, 5))


def shop(limit: int = 10, timezone: str = "UTC", **window: object) -> Workspace:
    """cust_abc has 10 searches a calendar month."""
    made = workspace()
    made.customer.timezone = timezone
    made.customer.save()
    limited(made, "search", limit, **(window or {"window": "CALENDAR", "window_unit": "month"}))
    return made


def grant(of: Workspace, amount: int, effective_at: datetime, **fields: object) -> Grant:
    return grant_create(
        tenant=of.tenant,
        actor="ada",
        customer="cust_abc",
        feature="search",
        amount=D(amount),
        effective_at=effective_at,
        **fields,
    )


def used(of: Workspace, count: int, at: datetime) -> None:
    """Calls at an instant, stored a moment later."""
    calls = [call(f"{at.isoformat()}-{number}", timestamp=at.isoformat()) for number in range(count)]
    with clock_at(at + timedelta(seconds=1)):
        store([submission(of, calls)])


def kept(of: Workspace, count: int, hour: datetime) -> None:
    """What the writer keeps of an hour's calls; their events may be in the archive."""
    counted = {"count": count, "value_count": count, "sum": D(count)}
    Bucket.objects.create(
        tenant=of.tenant, customer=of.customer, meter=of.meter, hour=hour, dimensions="{}", **counted
    )


def terms(of: Workspace, at: datetime) -> CustomerTerms:
    return feature_terms(of.tenant, [of.customer], at)[of.customer.pk]


def limits(of: Workspace, at: datetime) -> tuple[Decimal | None, Decimal | None]:
    """Of the window, and of the next one."""
    has = terms(of, at).features["search"]
    return has.limit, has.next_limit


def record(of: Workspace, at: datetime) -> FeatureRecord:
    records = customer_records(of.tenant, [of.customer], at).records
    (found,) = [one for one in records if isinstance(one, FeatureRecord)]
    return found


def test_a_month_of_a_grant_that_recurs_and_rolls_over():
    of = shop()
    # 100 every month from 15 March, of which at most 30 roll over.
    with clock_at(MARCH):
        grant(of, 100, MARCH + timedelta(days=14), recurrence="month", max_rollover=D(30))
    mid_march, mid_april = MARCH + timedelta(days=14), APRIL + timedelta(days=14)
    # It has not begun; if nothing is used, 30 of it are there in April.
    assert limits(of, MARCH) == (10, 40)
    assert terms(of, MARCH).next_change_at == mid_march
    assert limits(of, mid_march) == (110, 40)
    assert terms(of, mid_march).next_change_at == mid_april
    # The publisher looks again when the window turns, and then when the grant recurs.
    due = [customer_records(of.tenant, [of.customer], at).due[of.customer.pk] for at in (mid_march, APRIL)]
    assert due == [APRIL, mid_april]
    # March is 20 beyond its limit: 80 are left, and 30 of them in April.
    used(of, 30, MARCH + timedelta(days=20))
    assert limits(of, MARCH + timedelta(days=21)) == (110, 40)
    assert limits(of, APRIL) == (40, 40)
    # 55 in April until the 10th: 45 beyond, of which 30 were there. 15 are taken as soon as it recurs, so that 85 are left:
    # 10 + 45 + 85.
    used(of, 55, APRIL + timedelta(days=9))
    assert limits(of, APRIL + timedelta(days=10)) == (40, 40)
    assert limits(of, mid_april) == (140, 40)
    used(of, 5, mid_april + timedelta(hours=1))
    assert limits(of, mid_april + timedelta(days=1)) == (140, 40)
    (balance,) = grant_balances_of(of.tenant, list(grants_for(of.tenant)), mid_april + timedelta(days=1))
    assert (balance.balance, balance.next_fill_at) == (80, MAY + timedelta(days=14))


@pytest.mark.parametrize("max_rollover", [None, D(0), D(3)])
@pytest.mark.parametrize("recurrence", ["", "month", "week"])
def test_a_site_that_turns_its_page_by_itself_is_right(recurrence: str, max_rollover: Decimal | None):
    of = shop(timezone="Asia/Kolkata")
    # April begins there at 18:30Z; the grant recurs then, too, or on a day of each week.
    april = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    march = datetime(2026, 2, 28, 18, 30, tzinfo=UTC)
    grant(of, 20, march, recurrence=recurrence, max_rollover=max_rollover)
    used(of, 25, march + timedelta(days=20))
    # 15 were beyond the limit. Once: 5 are left of 20; every week: filled on the 28th, with 20.
    before, after = record(of, april - timedelta(days=1)), record(of, april)
    turned = at_instant(before, milliseconds(april))
    assert (turned.limit, turned.window_start_ms, turned.window_end_ms) == (
        after.limit,
        after.window_start_ms,
        after.window_end_ms,
    )
    left = 20 if recurrence else 5
    if recurrence != "month" and max_rollover is not None:
        left = min(left, int(max_rollover))
    assert after.limit == 10 + left


def test_revoked_in_this_window_it_keeps_what_was_taken():
    of = shop()
    first, second = grant(of, 5, MARCH), grant(of, 5, MARCH + timedelta(hours=1))
    used(of, 12, MARCH + timedelta(days=1))
    now = MARCH + timedelta(days=2, minutes=37)
    assert limits(of, now) == (20, 18)
    with clock_at(now):
        grant_revoke(tenant=of.tenant, actor="ada", grant_id=first.pk)
    # 2 of the first one stay taken: 10 + 2 + 5.
    assert limits(of, now) == (17, 15)
    # Four more, in the same hour: of the second one.
    used(of, 4, now + timedelta(minutes=5))
    later = now + timedelta(minutes=6)
    assert limits(of, later) == (17, 11)
    histories = [grant_history_of(of.tenant, one, later) for one in grants_for(of.tenant)]
    taken = {one.grant.pk: (one.balance, [part.taken for part in one.history]) for one in histories}
    assert taken == {first.pk: (0, [2]), second.pk: (1, [4])}


def test_what_a_revoked_grant_paid_for_is_nobody_elses():
    of = shop()
    first = grant(of, 50, FEBRUARY)
    grant(of, 50, FEBRUARY + timedelta(hours=1))
    used(of, 40, FEBRUARY + timedelta(days=5))
    with clock_at(MARCH + timedelta(days=1)):
        grant_revoke(tenant=of.tenant, actor="ada", grant_id=first.pk)
    # February took 30 of the first one. The second one is whole: 10 + 50.
    assert limits(of, MARCH + timedelta(days=2)) == (60, 60)


def test_what_was_taken_long_ago_stays_taken():
    of = shop(window="CALENDAR", window_unit="day")
    began = MAY - timedelta(days=700)
    grant(of, 50, began)
    # 60 on the first day: 50 beyond the limit.
    kept(of, 60, began)
    assert limits(of, MAY) == (10, 10)
    assert limits(of, MAY + timedelta(days=1)) == (10, 10)


def test_the_month_in_which_a_subscription_begins_is_no_part_of_its_first_period():
    of = shop(window="BILLING")
    mid_march, mid_april = (month + timedelta(days=14) for month in (MARCH, APRIL))
    Holding.objects.create(
        tenant=of.tenant,
        customer=of.customer,
        subscription="sub-1",
        started_at=mid_march,
        boundaries=[mid_march, mid_april, MAY + timedelta(days=14)],
    )
    grant(of, 20, MARCH)
    # 5 beyond the limit in the period from 15 March on. March until then is a window of its own, in which nothing was used.
    used(of, 15, MARCH + timedelta(days=20))
    assert limits(of, mid_april) == (25, 25)


def test_windows_of_before_are_read_without_events_that_lie_in_the_archive():
    of = shop(timezone="Asia/Kolkata", window="CALENDAR", window_unit="day")
    began = MARCH - timedelta(days=200)
    first = grant(of, 5, began)
    grant(of, 5, began)
    kept(of, 13, began)
    Grant.objects.filter(pk=first.pk).update(revoked_at=began + timedelta(minutes=20))
    ArchiveFile.objects.create(
        tenant=of.tenant, month=date(began.year, began.month, 1), path="events", rows=13, sha256="0" * 64
    )
    # An hour that anything cuts counts as used before: 3 beyond the limit, all of the first one.
    assert limits(of, MARCH) == (15, 15)


def test_levels_are_read_up_to_each_instant():
    of = shop()
    meter(of.tenant, "storage.peak", "MAX")
    limited(of, "storage", 10, "storage.peak", window="CALENDAR", window_unit="month")
    grant_create(
        tenant=of.tenant,
        actor="ada",
        customer="cust_abc",
        feature="storage",
        amount=D(5),
        effective_at=MARCH,
        recurrence="week",
    )
    for day, level in ((2, 14), (10, 12), (16, 17)):
        at = MARCH + timedelta(days=day)
        with clock_at(at):
            store([submission(of, [call(f"s{day}", level, metric="storage.peak", timestamp=at.isoformat())])])
    # A peak of 14 took 4 in the first week, and 17 took 3 more in the third: 2 are left until 22 March.
    has = terms(of, MARCH + timedelta(days=20)).features["storage"]
    assert (has.limit, has.extra, list(has.burnt.history[0].taken.values())) == (19, 9, [7])


def test_grants_without_a_limit_are_whole():
    of = shop()
    grant(of, 5, MARCH)
    entitlement_create(
        tenant=of.tenant,
        actor="ada",
        feature="search",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=None,
        starts_at=APRIL,
    )
    used(of, 12, MARCH + timedelta(days=1))
    (row,) = grants_for(of.tenant)
    assert [grant_history_of(of.tenant, row, at).balance for at in (MARCH + timedelta(days=2), APRIL)] == [
        3,
        5,
    ]
