"""A version in place of another: what it would come to for each customer, and the move."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import call_command

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import Coupon, CouponRedemption, Invoice, RatePlanVersion, Subscription
from billing.services import plan_migrations
from billing.services.catalog import (
    offering_create,
    product_create,
    rate_plan_draft,
    version_draft,
    version_publish,
)
from billing.services.plan_migrations import migration_preview, plan_migrate
from billing.services.subscriptions import subscription_create
from tests.billing.builders import MARCH, a_tenant, drafted, used
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

APRIL_10 = datetime(2026, 4, 10, tzinfo=UTC)
FEE = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE"}
CALLS = {"code": "calls", "name": "Calls", "model": "PER_UNIT", "meter": "calls"}


@pytest.fixture
def tenant():
    """Version 1: 10.00 and 0.010 a call. Version 2: 12.00 and 0.009. Three customers since January."""
    tenant = a_tenant()
    calls = meter(tenant, "calls", "SUM")
    product_create(tenant=tenant, code="api", name="API")
    first = [{**FEE, "amount": "10"}, {**CALLS, "unit_price": "0.010"}]
    rate_plan_draft(tenant=tenant, product="api", code="plan", name="Plan", charges=first)
    version_publish(tenant=tenant, plan="plan", version=1)
    offering_create(tenant=tenant, code="offer", name="Offer", plans=["plan"])
    for name, quantity in (("heavy", "5000"), ("light", "1000"), ("none", "0")):
        buyer = customer(tenant, name)
        with clock_at(datetime(2026, 1, 1, tzinfo=UTC)):
            subscription_create(
                tenant=tenant,
                code=name,
                customer=name,
                offering="offer",
                starts_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        used(buyer, calls, quantity)
    second = [{**FEE, "amount": "12"}, {**CALLS, "unit_price": "0.009"}]
    version_draft(tenant=tenant, plan="plan", charges=second)
    return tenant


def previewed(tenant, **options):
    with clock_at(APRIL_10):
        return migration_preview(tenant=tenant, plan="plan", version=1, to=2, **options)


def migrated(tenant, **options):
    with clock_at(APRIL_10):
        return plan_migrate(tenant=tenant, plan="plan", version=1, to=2, **options)


def rows(preview):
    return [(each.subscription, each.before, each.after, each.delta) for each in preview.effects]


def test_the_last_full_period_is_billed_under_both(tenant):
    # March: heavy 10 + 50.00 -> 12 + 45.00; light 10 + 10.00 -> 12 + 9.00; none 10 -> 12. Version 2 is still a draft.
    preview = previewed(tenant)
    assert rows(preview) == [("heavy", 60, 57, -3), ("light", 20, 21, 1), ("none", 10, 12, 2)]
    assert (preview.before, preview.after, preview.delta) == (90, 90, 0)
    assert (preview.winners, preview.losers, preview.refused) == (1, 2, ())
    assert preview.effects[0].period == MARCH
    assert not Invoice.objects.exists()
    assert {item.plan_version.number for row in Subscription.objects.all() for item in row.items.all()} == {1}


def test_chosen_ones_of_the_present_period(tenant):
    # Nothing is used in April yet.
    assert rows(previewed(tenant, subscriptions=["heavy"], is_present=True)) == [("heavy", 10, 12, 2)]


def test_discounts_count_in_it(tenant):
    coupon = Coupon.objects.create(tenant=tenant, code="half", name="Half", kind="PERCENTAGE", percent=50)
    heavy = Subscription.objects.get(code="heavy")
    CouponRedemption.objects.create(
        tenant=tenant, coupon=coupon, subscription=heavy, redeemed_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert rows(previewed(tenant, subscriptions=["heavy"])) == [
        ("heavy", 30, Decimal("28.50"), Decimal("-1.50"))
    ]


def test_a_version_may_price_other_meters(tenant):
    tokens = meter(tenant, "tokens", "SUM")
    used(Subscription.objects.get(code="light").customer, tokens, "7")
    RatePlanVersion.objects.filter(number=2).delete()
    version_draft(tenant=tenant, plan="plan", charges=[{**CALLS, "meter": "tokens", "unit_price": "1"}])
    assert rows(previewed(tenant, subscriptions=["light"])) == [("light", 20, 7, -13)]


def test_many_are_read_in_chunks(tenant, monkeypatch):
    monkeypatch.setattr(plan_migrations, "READ_AT_ONCE", 2)
    told = []
    preview = previewed(tenant, on_progress=lambda done, every: told.append((done, every)))
    assert (told, len(preview.effects)) == ([(2, 3), (3, 3)], 3)


def test_what_is_not_there_is_said(tenant):
    for call in (previewed, migrated):
        with pytest.raises(Problem, match="No subscription 'nobody' on version 1"):
            call(tenant, subscriptions=["nobody"])
        with pytest.raises(Problem, match="3 subscriptions hold the version; name up to 2"):
            call(tenant, subscriptions_max=2)
    with clock_at(APRIL_10), pytest.raises(Problem, match="No rate plan version"):
        migration_preview(tenant=tenant, plan="plan", version=1, to=9)


def test_a_draft_is_not_moved_to(tenant):
    done = migrated(tenant)
    assert done.migrated == 0
    assert [each.subscription for each in done.refused] == ["heavy", "light", "none"]


def test_moving_now_bills_the_rest_of_the_period_by_the_other_version(tenant):
    version_publish(tenant=tenant, plan="plan", version=2)
    assert migrated(tenant, subscriptions=["heavy"]).migrated == 1
    items = Subscription.objects.get(code="heavy").items.order_by("starts_at")
    assert [(item.plan_version.number, item.starts_at) for item in items][1] == (2, APRIL_10)
    # March stays as it was.
    assert drafted(Subscription.objects.get(code="heavy")).total == 60
    # Whoever has moved is not moved again.
    again = migrated(tenant)
    assert (again.migrated, again.refused) == (2, ())
    assert migrated(tenant).migrated == 0


def test_moving_at_the_periods_end_can_be_said_twice(tenant):
    version_publish(tenant=tenant, plan="plan", version=2)
    for _ in range(2):
        assert migrated(tenant, is_at_period_end=True).migrated == 3
    for subscription in Subscription.objects.all():
        numbers = [
            (item.plan_version.number, item.starts_at) for item in subscription.items.order_by("starts_at")
        ]
        assert numbers[1:] == [(2, datetime(2026, 5, 1, tzinfo=UTC))]


def test_another_tenants_subscriptions_stay(tenant):
    other = a_tenant("other")
    with clock_at(APRIL_10), pytest.raises(Problem, match="No rate plan 'plan'"):
        plan_migrate(tenant=other, plan="plan", version=1, to=2)


# --- by the command


def test_the_command_previews_writes_a_table_and_moves(tenant, tmp_path, capsys):
    def called(*arguments):
        with clock_at(APRIL_10):
            call_command("plan_migration", *arguments, "--tenant", "acme_corp")
        return capsys.readouterr().out

    version_publish(tenant=tenant, plan="plan", version=2)
    versions = ("plan", "--from", "1", "--to", "2")
    said = called("preview", *versions, "--csv", str(tmp_path / "effects.csv"))
    assert [line.split() for line in said.splitlines()][:3] == [
        ["currency", "USD"],
        ["before", "90.00"],
        ["after", "90.00"],
    ]
    assert (tmp_path / "effects.csv").read_text().splitlines()[1] == (
        "heavy,heavy,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,USD,60.00,57.00,-3.00"
    )
    assert json.loads(called("run", *versions, "--json")) == {"migrated": 3, "refused": []}
