"""Standings follow every change of a subscription, a contract or a wallet, by whatever way it came."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.outbox.models import Fact
from billing.models import Subscription
from billing.models.subscription import SubscriptionState
from billing.services.catalog import offering_create, version_draft, version_publish
from billing.services.contracts import contract_create
from billing.services.standings import TOPIC, Standings, standings_keep
from billing.services.subscriptions import subscription_cancel, subscription_move
from billing.services.wallets import wallet_grant_add
from entitlements.models import Holding, Standing
from tests import catalogs, workspaces

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    return made


def told() -> int:
    """What the publisher does again and again; until nothing is new."""
    count = 0
    while Fact.objects.filter(topic=TOPIC).exists():
        count += Standings().told()
    return count


def holding() -> Holding:
    return Holding.objects.get()


def test_a_subscription_is_told_with_its_plan_and_periods_around_now(shop):
    subscription = catalogs.subscribed(shop.tenant)
    assert told() == 1
    held = holding()
    assert (held.plans, held.offerings, held.is_active) == (["standard"], ["standard"], True)
    assert held.started_at == held.boundaries[0] == subscription.starts_at
    # The present period and the one after it.
    assert held.boundaries[-3] <= now() < held.boundaries[-2] < held.boundaries[-1]
    # Told again it is nothing new.
    Subscription.objects.update(interval=subscription.interval)
    assert told() == 0


@pytest.mark.parametrize("state", [state for state in SubscriptionState.values if state != "CREATED"])
def test_every_state_is_followed(shop, state):
    catalogs.subscribed(shop.tenant)
    # As a move, a task or raw SQL would do it.
    Subscription.objects.update(state=state)
    told()
    assert holding().is_active == (state in {"TRIALING", "ACTIVE", "PAST_DUE", "EXPIRING_SOON"})


def test_moves_and_ends_by_the_services(shop):
    catalogs.subscribed(shop.tenant)
    subscription_move(tenant=shop.tenant, code="sub-1", to="PAUSED")
    told()
    assert not holding().is_active
    subscription_move(tenant=shop.tenant, code="sub-1", to="ACTIVE")
    told()
    assert holding().is_active
    subscription_cancel(tenant=shop.tenant, code="sub-1", at=now())
    told()
    assert not holding().is_active


def test_a_contract_is_held_in_its_term(shop):
    catalogs.subscribed(shop.tenant)
    today = now().date()
    contract_create(
        tenant=shop.tenant,
        code="deal",
        subscription="sub-1",
        starts_on=today + timedelta(days=3),
        ends_on=today + timedelta(days=5),
    )
    told()
    assert holding().contracts == []
    for days, expected in ((4, ["deal"]), (6, [])):
        with clock_at(now() + timedelta(days=days)):
            standings_keep()
            assert holding().contracts == expected


def test_a_prepaid_customer_without_money_left(shop):
    catalogs.published(shop.tenant, plan="prepaid")
    offering_create(
        tenant=shop.tenant, code="prepaid", name="Prepaid", plans=["prepaid"], billing_mode="PREPAID"
    )
    catalogs.subscribed(shop.tenant, offering="prepaid")
    told()
    assert Standing.objects.get().is_wallet_empty
    at = now()
    wallet_grant_add(
        tenant=shop.tenant, customer="cust_abc", amount=Decimal(5), expires_at=at + timedelta(days=2)
    )
    told()
    assert not Standing.objects.get().is_wallet_empty
    # Its money expires by itself.
    with clock_at(at + timedelta(days=3)):
        standings_keep()
        assert Standing.objects.get().is_wallet_empty


def test_subscriptions_of_before_are_found_without_being_told(shop):
    catalogs.subscribed(shop.tenant)
    Fact.objects.all().delete()
    assert standings_keep() == 1
    assert standings_keep() == 0
    with clock_at(now() + timedelta(days=40)):
        # Its periods have moved on.
        assert standings_keep() == 1
        assert holding().boundaries[-1] > now()


def test_a_new_version_changes_nothing_that_is_held(shop):
    catalogs.subscribed(shop.tenant)
    told()
    version_draft(tenant=shop.tenant, plan="standard")
    version_publish(tenant=shop.tenant, plan="standard", version=2)
    assert told() == 0
