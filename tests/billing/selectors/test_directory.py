"""What an event is enriched with: the subscription running at its instant, from memory that is at most a second old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Subscription
from billing.selectors import directory as module
from billing.selectors.directory import SubscriptionDirectory
from billing.services.catalog import offering_create
from billing.services.subscription_items import subscription_change
from billing.services.subscriptions import subscription_cancel, subscription_move
from metering.models import MeterRow
from metering.ports import UsageContext, customer_directory
from tests import catalogs, workspaces

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NOTHING = UsageContext()


class Seconds:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic(self) -> float:
        return self.at_s


@pytest.fixture
def seconds(monkeypatch) -> Seconds:
    made = Seconds()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    return made


def asked(directory, shop, at=NOON, metric="api.call") -> UsageContext:
    bought = directory.bought_by(tenant_id=shop.tenant.pk, customer_ids=[shop.customer.pk])
    return bought.context_at(shop.customer.pk, metric, at)


def context(subscription: Subscription) -> UsageContext:
    version = subscription.items.get().plan_version
    return UsageContext(subscription.pk, version.pk, version.plan.product.code)


def test_billing_fills_the_port():
    assert isinstance(customer_directory(), SubscriptionDirectory)


def test_the_customers_of_a_batch_are_read_at_once(shop, django_assert_num_queries):
    subscription = catalogs.subscribed(shop.tenant, starts_at=NOON)
    nobody = workspaces.customer(shop.tenant, "cust_nobody")
    directory = SubscriptionDirectory()
    expected = [shop.customer.pk, nobody.pk]
    bought = context(subscription)

    # The meters, what was touched lately, the subscriptions and their charges.
    with django_assert_num_queries(4):
        directory.bought_by(tenant_id=shop.tenant.pk, customer_ids=expected)
    with django_assert_num_queries(0):
        directory.bought_by(tenant_id=shop.tenant.pk, customer_ids=expected)
        assert asked(directory, shop) == bought


def test_an_event_belongs_to_the_subscription_running_at_its_instant(shop):
    with clock_at(NOON):
        subscription = catalogs.subscribed(shop.tenant, starts_at=NOON)
        subscription_cancel(tenant=shop.tenant, code="sub-1", at=NOON + DAY)
        following = catalogs.subscribed(shop.tenant, "sub-2", starts_at=NOON + DAY)
    directory = SubscriptionDirectory()

    second = timedelta(seconds=1)
    assert asked(directory, shop, NOON - second) == NOTHING
    assert asked(directory, shop, NOON) == context(subscription)
    assert asked(directory, shop, NOON + DAY - second) == context(subscription)
    assert asked(directory, shop, NOON + DAY) == context(following)


def test_only_a_subscription_that_charges_for_the_metric_counts(shop):
    workspaces.meter(shop.tenant, "llm.tokens", "SUM")
    workspaces.meter(shop.tenant, "errors", event_name="api.call")
    errors = {**catalogs.CALLS, "meter": "errors"}
    catalogs.published(shop.tenant, "support", charges=[errors])
    offering_create(tenant=shop.tenant, code="support", name="Support", plans=["support"])
    with clock_at(NOON):
        calls = catalogs.subscribed(shop.tenant, starts_at=NOON - DAY)
        directory = SubscriptionDirectory()
        assert asked(directory, shop) == context(calls)
        assert asked(directory, shop, metric="llm.tokens") == NOTHING
        assert asked(directory, shop, metric="nobody.knows") == NOTHING
        # The meter `errors` listens to api.call, too; of two subscriptions the one that started last.
        support = catalogs.subscribed(shop.tenant, "sub-2", offering="support", starts_at=NOON)
    directory = SubscriptionDirectory()
    assert asked(directory, shop) == context(support)


def test_a_customer_asked_again_costs_nothing_and_a_change_is_seen_within_a_second(
    shop, seconds, django_assert_num_queries
):
    directory = SubscriptionDirectory()
    assert asked(directory, shop) == NOTHING
    with clock_at(NOON):
        bought = context(catalogs.subscribed(shop.tenant, starts_at=NOON))

    with django_assert_num_queries(0):
        assert asked(directory, shop) == NOTHING
    seconds.at_s = 0.9
    assert asked(directory, shop) == bought
    seconds.at_s = 1.8
    # The two questions of each second; the customer itself is not read again.
    with django_assert_num_queries(2):
        assert asked(directory, shop) == bought
    with clock_at(NOON + DAY):
        subscription_cancel(tenant=shop.tenant, code="sub-1")
    seconds.at_s = 2.7
    assert asked(directory, shop, NOON + 2 * DAY) == NOTHING


def test_an_upgrade_is_seen_within_a_second_and_a_pause_keeps_the_name(shop, seconds):
    catalogs.published(shop.tenant, "pro")
    offering_create(tenant=shop.tenant, code="both", name="Both", plans=["standard", "pro"])
    with clock_at(NOON):
        catalogs.subscribed(shop.tenant, offering="both", plan="standard", starts_at=NOON)
    directory = SubscriptionDirectory()
    starter = asked(directory, shop)

    with clock_at(NOON + DAY):
        subscription_change(tenant=shop.tenant, code="sub-1", to_plan="pro")
    seconds.at_s = 0.9
    pro = asked(directory, shop, NOON + DAY)
    assert (starter.product, pro.product) == ("standard", "pro")
    assert asked(directory, shop, NOON + DAY - timedelta(microseconds=1)) == starter

    with clock_at(NOON + 2 * DAY):
        subscription_move(tenant=shop.tenant, code="sub-1", to="PAUSED")
    seconds.at_s = 1.8
    assert asked(directory, shop, NOON + 3 * DAY) == pro


def test_a_meter_that_listens_elsewhere_is_seen_within_a_second(shop, seconds):
    with clock_at(NOON):
        subscription = catalogs.subscribed(shop.tenant, starts_at=NOON)
    directory = SubscriptionDirectory()
    assert asked(directory, shop, metric="api.request") == NOTHING

    MeterRow.objects.filter(pk=shop.meter.pk).update(event_name="api.request")
    seconds.at_s = 0.9

    assert asked(directory, shop, metric="api.request") == context(subscription)
    assert asked(directory, shop) == NOTHING


def test_another_tenants_customer_is_asked_of_its_own_table(shop):
    other = workspaces.workspace("other")
    with clock_at(NOON):
        catalogs.subscribed(shop.tenant, starts_at=NOON)

    directory = SubscriptionDirectory()

    assert asked(directory, shop) != NOTHING
    assert asked(directory, other) == NOTHING


def test_a_thousand_events_of_a_customer_are_read_once(shop, seconds, django_assert_num_queries):
    with clock_at(NOON):
        catalogs.subscribed(shop.tenant, starts_at=NOON)
    directory = SubscriptionDirectory()

    # Two questions about the tenant, two about the customer.
    with django_assert_num_queries(4):
        for number in range(1000):
            asked(directory, shop, NOON + timedelta(seconds=number))
