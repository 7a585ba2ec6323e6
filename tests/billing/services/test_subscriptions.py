"""Subscriptions: pinned versions, starts in the customer's zone, legal moves, ends at an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.services.customers import customer_update
from billing.models import Subscription, SubscriptionPhase
from billing.models.subscription import LEGAL_MOVES, SubscriptionState
from billing.services.catalog import offering_create, version_archive, version_draft, version_publish
from billing.services.subscriptions import (
    subscription_cancel,
    subscription_create,
    subscription_move,
    subscriptions_advance,
)
from billing.tasks import subscriptions_advance_due
from tests import catalogs, workspaces
from tests.billing.builders import issued

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    return made


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.mark.promise("P54")
def test_a_subscription_keeps_its_version_when_a_newer_one_is_published(shop):
    subscription = catalogs.subscribed(shop.tenant)
    version_draft(tenant=shop.tenant, plan="standard")
    version_publish(tenant=shop.tenant, plan="standard", version=2)

    subscription.refresh_from_db()
    assert subscription.items.get().plan_version.number == 1
    assert catalogs.subscribed(shop.tenant, "sub-2").items.get().plan_version.number == 2
    assert catalogs.subscribed(shop.tenant, "sub-3", version=1).items.get().plan_version.number == 1


def test_a_day_starts_at_midnight_in_the_customers_zone(shop):
    workspaces.customer(shop.tenant, "cust_in", timezone="Asia/Kolkata")

    subscription = catalogs.subscribed(shop.tenant, customer="cust_in", starts_on=date(2026, 3, 1))

    # Kolkata is 5:30 ahead of UTC.
    assert subscription.starts_at == datetime(2026, 2, 28, 18, 30, tzinfo=UTC)
    assert subscription.anchor_on == date(2026, 3, 1)


def test_without_a_start_it_starts_today_where_the_customer_is(shop):
    workspaces.customer(shop.tenant, "cust_nz", timezone="Pacific/Auckland")

    with clock_at(NOON):
        subscription = catalogs.subscribed(shop.tenant, customer="cust_nz")

    # 12:00Z on the 15th is already the 16th in Auckland, 13 hours ahead in March.
    assert subscription.anchor_on == date(2026, 3, 16)
    assert subscription.starts_at == datetime(2026, 3, 15, 11, tzinfo=UTC)


def test_a_start_that_has_come_is_active_and_a_later_one_waits(shop):
    with clock_at(NOON):
        now_running = catalogs.subscribed(shop.tenant, starts_at=NOON)
        later = catalogs.subscribed(shop.tenant, "sub-2", starts_at=NOON + timedelta(seconds=1))
        assert (now_running.state, later.state) == ("ACTIVE", "CREATED")
        assert subscriptions_advance(tenant=shop.tenant, as_of=NOON) == 0
        assert subscriptions_advance(tenant=shop.tenant, as_of=NOON + timedelta(seconds=1)) == 1
        assert subscriptions_advance(tenant=shop.tenant, as_of=NOON + timedelta(seconds=1)) == 0

    later.refresh_from_db()
    assert later.state == "ACTIVE"
    assert [(phase.before, phase.after) for phase in later.phases.all()] == [
        ("", "CREATED"),
        ("CREATED", "ACTIVE"),
    ]


def test_beat_moves_what_is_due_in_every_tenant(shop):
    other = workspaces.workspace("other")
    catalogs.on_sale(other.tenant)
    with clock_at(NOON):
        for tenant in (shop.tenant, other.tenant):
            catalogs.subscribed(tenant, starts_at=NOON + timedelta(days=1))
        subscriptions_advance_due()
        assert set(Subscription.objects.values_list("state", flat=True)) == {"CREATED"}
    with clock_at(NOON + timedelta(days=1)):
        subscriptions_advance_due()
    assert set(Subscription.objects.values_list("state", flat=True)) == {"ACTIVE"}


@pytest.mark.parametrize("before", list(SubscriptionState.values))
@pytest.mark.parametrize("after", list(SubscriptionState.values))
def test_every_move_is_legal_or_refused_with_the_legal_ones(shop, before, after):
    subscription = catalogs.subscribed(shop.tenant)
    subscription.state = before
    subscription.save()

    if after in LEGAL_MOVES[before]:
        moved = subscription_move(tenant=shop.tenant, code="sub-1", to=after, reason="test")
        phase = SubscriptionPhase.objects.exclude(before="").get()
        assert (moved.state, phase.before, phase.after, phase.reason) == (after, before, after, "test")
        assert (moved.ends_at is not None) == (after in {"CANCELLED", "EXPIRED"})
    else:
        problem = refused(subscription_move, tenant=shop.tenant, code="sub-1", to=after)
        assert problem.code == "state_conflict"
        assert problem.facts["legal_moves"] == sorted(LEGAL_MOVES[before])
        assert SubscriptionPhase.objects.count() == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE billing_subscriptionphase SET reason = 'x'", "DELETE FROM billing_subscriptionphase"],
)
def test_a_phase_is_never_edited(shop, statement):
    catalogs.subscribed(shop.tenant)

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)


def test_a_move_in_the_future_is_refused(shop):
    catalogs.subscribed(shop.tenant)

    with clock_at(NOON):
        problem = refused(
            subscription_move, tenant=shop.tenant, code="sub-1", to="PAUSED", at=NOON + timedelta(seconds=1)
        )
    assert list(problem.facts["errors"]) == ["at"]


def test_cancelling_now_ends_now_and_cancelling_later_ends_then(shop):
    with clock_at(NOON):
        catalogs.subscribed(shop.tenant, starts_on=date(2026, 3, 1))
        catalogs.subscribed(shop.tenant, "sub-2", starts_on=date(2026, 3, 1))
        gone = subscription_cancel(tenant=shop.tenant, code="sub-1", reason="moved away")
        going = subscription_cancel(tenant=shop.tenant, code="sub-2", at=NOON + timedelta(days=3))
        assert (gone.state, gone.ends_at) == ("CANCELLED", NOON)
        assert (going.state, going.ends_at) == ("ACTIVE", NOON + timedelta(days=3))

        # Another instant may be named until the first has come.
        going = subscription_cancel(tenant=shop.tenant, code="sub-2", at=NOON + timedelta(days=2))
        assert subscriptions_advance(tenant=shop.tenant, as_of=NOON + timedelta(days=2)) == 1

    going.refresh_from_db()
    assert (going.state, going.ends_at) == ("CANCELLED", NOON + timedelta(days=2))
    assert refused(subscription_cancel, tenant=shop.tenant, code="sub-2").code == "state_conflict"


def test_cancelled_before_its_start_it_never_ran(shop):
    with clock_at(NOON):
        catalogs.subscribed(shop.tenant, starts_at=NOON + timedelta(days=10))
        gone = subscription_cancel(tenant=shop.tenant, code="sub-1")

    assert (gone.state, gone.ends_at) == ("CANCELLED", gone.starts_at)


def test_what_is_invoiced_stays_billed(shop):
    with clock_at(NOON):
        subscription = catalogs.subscribed(shop.tenant, starts_on=date(2026, 2, 1))
        number = issued(subscription, FEBRUARY, at=NOON).number
        problem = refused(
            subscription_cancel, tenant=shop.tenant, code="sub-1", at=datetime(2026, 2, 20, tzinfo=UTC)
        )
        assert (problem.code, number in problem.detail) == ("state_conflict", True)
        ended = subscription_cancel(tenant=shop.tenant, code="sub-1", at=datetime(2026, 3, 1, tzinfo=UTC))
    assert ended.ends_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_currencies_agree(shop):
    workspaces.customer(shop.tenant, "cust_eu", currency="EUR")

    problem = refused(catalogs.subscribed, shop.tenant, customer="cust_eu")

    assert (problem.code, list(problem.facts["errors"])) == ("input_invalid", ["currency"])
    assert problem.detail == "currency is USD, but the customer 'cust_eu' is in EUR."


def test_only_a_published_version_is_sold(shop):
    version_draft(tenant=shop.tenant, plan="standard")
    assert refused(catalogs.subscribed, shop.tenant, version=2).code == "state_conflict"
    version_archive(tenant=shop.tenant, plan="standard", version=1)
    assert refused(catalogs.subscribed, shop.tenant, version=1).code == "state_conflict"
    assert refused(catalogs.subscribed, shop.tenant).code == "state_conflict"
    assert refused(catalogs.subscribed, shop.tenant, version=3).code == "not_found"


def test_an_offering_of_several_plans_is_asked_for_one(shop):
    catalogs.published(shop.tenant, "extra")
    offering_create(tenant=shop.tenant, code="both", name="Both", plans=["standard", "extra"])

    assert list(refused(catalogs.subscribed, shop.tenant, offering="both").facts["errors"]) == ["plan"]
    assert list(refused(catalogs.subscribed, shop.tenant, offering="both", plan="other").facts["errors"]) == [
        "plan"
    ]
    assert (
        catalogs.subscribed(shop.tenant, offering="both", plan="extra").items.get().plan_version.plan.code
        == "extra"
    )


def test_a_start_is_said_one_way(shop):
    problem = refused(catalogs.subscribed, shop.tenant, starts_on=date(2026, 3, 1), starts_at=NOON)
    assert list(problem.facts["errors"]) == ["starts_at"]


def test_another_tenants_customer_or_offering_does_not_exist(shop):
    other = workspaces.workspace("other")

    assert refused(catalogs.subscribed, other.tenant).detail == "No offering 'standard'."
    workspaces.customer(shop.tenant, "cust_only_here")
    catalogs.on_sale(other.tenant)
    assert refused(catalogs.subscribed, other.tenant, customer="cust_only_here").code == "not_found"
    catalogs.subscribed(shop.tenant)
    assert refused(subscription_cancel, tenant=other.tenant, code="sub-1").code == "not_found"


def test_a_code_names_one_subscription(shop):
    catalogs.subscribed(shop.tenant)
    assert refused(catalogs.subscribed, shop.tenant).code == "already_exists"


def test_a_customer_with_subscriptions_keeps_zone_and_currency(shop):
    customer_update(tenant=shop.tenant, external_id="cust_abc", timezone="Europe/Berlin")
    catalogs.subscribed(shop.tenant)

    for change in ({"timezone": "UTC"}, {"currency": "EUR"}):
        problem = refused(customer_update, tenant=shop.tenant, external_id="cust_abc", **change)
        assert problem.code == "state_conflict"
    assert customer_update(tenant=shop.tenant, external_id="cust_abc", name="ABC").name == "ABC"


def test_naming_a_version_of_another_plan_finds_nothing(shop):
    with pytest.raises(Problem, match="No rate plan version 9"):
        subscription_create(tenant=shop.tenant, code="x", customer="cust_abc", offering="standard", version=9)
