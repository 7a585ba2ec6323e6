"""What a subscription holds and when, down to the lines that its invoice has for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text
from billing import loading, pipeline
from billing.models import Offering, SubscriptionItem
from billing.selectors.bill_runs import subscriptions_billed_in, subscriptions_looked_after
from billing.selectors.periods import periods_after_end, subscription_cycle
from billing.selectors.subscriptions import billed_subscription_for
from billing.services.catalog import offering_create, version_draft, version_publish
from billing.services.invoices import invoice_draft
from billing.services.subscription_items import subscription_add, subscription_change, subscription_remove
from billing.services.subscriptions import subscription_cancel, subscription_move, subscriptions_advance
from metering.batch import store
from metering.models import MeterRow
from tests import catalogs, workspaces
from tests.billing.builders import MARCH, issued, used
from tests.metering.rows import call, submission

pytestmark = pytest.mark.django_db

D = Decimal
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def a_fee(amount: str, code: str = "base") -> dict[str, object]:
    return {"code": code, "name": code.title(), "kind": "FEE", "model": "FLAT_RATE", "amount": amount}


def calls(price: str, code: str = "calls", **fields: object) -> dict[str, object]:
    return {
        "code": code,
        "name": "Calls",
        "model": "PER_UNIT",
        "meter": "tokens",
        "unit_price": price,
        **fields,
    }


@pytest.fixture
def shop() -> workspaces.Workspace:
    """Two plans, 31.00 and 62.00 a month, 0.01 and 0.002 a call, of which one is held at a time."""
    made = workspaces.workspace()
    workspaces.meter(made.tenant, "tokens", "SUM", event_name="api.call")
    catalogs.published(made.tenant, "starter", charges=[a_fee("31.00"), calls("0.01")])
    catalogs.published(made.tenant, "pro", charges=[a_fee("62.00"), calls("0.002")])
    offering_create(tenant=made.tenant, code="api", name="API", plans=["starter", "pro"])
    return made


def subscribed(shop, **fields):
    given = {"offering": "api", "plan": "starter", "starts_on": date(2026, 3, 1), **fields}
    with clock_at(NOON):
        return catalogs.subscribed(shop.tenant, **given)


def changed(shop, **fields):
    with clock_at(NOON):
        return subscription_change(tenant=shop.tenant, code="sub-1", **fields)


def sent(shop, instant: datetime) -> None:
    """A call as the writer stores it."""
    with clock_at(instant):
        store([submission(shop, call(f"call {instant}", timestamp=instant_text(instant)))])


def state_of(shop, cycle=MARCH):
    subscription = billed_subscription_for(shop.tenant, code="sub-1")
    return pipeline.run(loading.billing_state(tenant=shop.tenant, subscription=subscription, cycle=cycle))


def lines(shop, cycle=MARCH):
    return [(line.kind, line.code, line.quantity, line.amount) for line in state_of(shop, cycle).lines]


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


# --- upgrade, quantity, and back


@pytest.mark.promise("P33")
def test_an_upgrade_is_billed_by_the_days_of_each_plan(shop):
    # 1 to 16 March is 15 of 31 days, 16 March to 1 April 16: 31.00 × 15/31 = 15.00 and 62.00 × 16/31 = 32.00.
    subscribed(shop)
    changed(shop, to_plan="pro", at=at(16))
    assert lines(shop) == [
        ("PRORATION", "base@starter-v1", 1, D("15.00")),
        ("USAGE_FEE", "calls@starter-v1", 0, D("0.00")),
        ("PRORATION", "base", 1, D("32.00")),
        ("USAGE_FEE", "calls", 0, D("0.00")),
    ]
    assert state_of(shop).lines[0].description == "Base, starter v1 (15 of 31 days)"


def test_each_event_is_rated_by_the_plan_in_force_at_its_instant(shop):
    # Upgraded at 14:37:22: one call a second before at 0.01, and two from then on at 0.002.
    subscribed(shop)
    changed(shop, to_plan="pro", at=at(10, 14, 37, 22))
    for second in (21, 22, 23):
        sent(shop, at(10, 14, 37, second))
    usage = {
        line.code: (line.quantity, line.amount) for line in state_of(shop).lines if line.kind == "USAGE_FEE"
    }
    assert usage == {"calls@starter-v1": (1, D("0.01")), "calls": (2, D("0.00"))}
    assert sum(line.unrounded for line in state_of(shop).lines if line.kind == "USAGE_FEE") == D("0.014")


def test_an_upgrade_and_back_at_the_same_instant_changes_nothing(shop):
    subscribed(shop)
    before = lines(shop)
    changed(shop, to_plan="pro", at=at(16))
    changed(shop, to_plan="starter", at=at(16))
    assert lines(shop) == before == [("CHARGE", "base", 1, D("31.00")), ("USAGE_FEE", "calls", 0, D("0.00"))]


def test_a_plan_held_twice_has_a_line_for_each_stretch_and_counts_its_usage_once(shop):
    subscribed(shop)
    changed(shop, to_plan="pro", at=at(11))
    changed(shop, to_plan="starter", at=at(21))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "100", at=at(5))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "1000", at=at(15))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "200", at=at(25))
    # 10 and 11 of 31 days of 31.00, 10 of 62.00; 300 calls at 0.01 and 1,000 at 0.002.
    assert [(code, amount) for _, code, _, amount in lines(shop)] == [
        ("base", D("10.00")),
        ("base", D("11.00")),
        ("calls", D("3.00")),
        ("base@pro-v1", D("20.00")),
        ("calls@pro-v1", D("2.00")),
    ]


def test_a_quantity_is_due_for_the_days_of_it(shop):
    # 2 × 31.00 × 15/31 = 30.00, then 5 × 31.00 × 16/31 = 80.00; usage asks for no quantity.
    subscribed(shop, quantity=D(2))
    changed(shop, quantity=D(5), at=at(16))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "100", at=at(20))
    assert lines(shop) == [
        ("PRORATION", "base", 2, D("30.00")),
        ("PRORATION", "base", 5, D("80.00")),
        ("USAGE_FEE", "calls", 100, D("1.00")),
    ]


def test_a_quantity_of_zero_is_no_line(shop):
    subscribed(shop, quantity=D(0))
    assert [code for _, code, _, _ in lines(shop)] == ["calls"]


def test_a_new_version_is_held_from_the_end_of_the_period(shop):
    subscribed(shop)
    version_draft(tenant=shop.tenant, plan="starter", charges=[a_fee("40.00")])
    version_publish(tenant=shop.tenant, plan="starter", version=2)
    changed(shop, version=2, is_at_period_end=True)
    april = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))
    assert [code for _, code, _, _ in lines(shop)] == ["base", "calls"]
    assert lines(shop, april) == [("CHARGE", "base", 1, D("40.00"))]
    # Once more is the same.
    changed(shop, version=2, at=MARCH.end)
    assert SubscriptionItem.objects.count() == 2


def test_what_is_invoiced_does_not_change_and_the_next_period_does(shop):
    subscription = subscribed(shop)
    number = issued(subscription).number
    problem = refused(changed, shop, to_plan="pro", at=at(20))
    assert (problem.code, problem.detail) == (
        "state_conflict",
        f"Invoice {number} bills the subscription until 2026-04-01T00:00:00Z; change it then or later.",
    )
    changed(shop, to_plan="pro", at=MARCH.end)


def test_late_usage_of_an_upgraded_period_is_billed_by_the_plan_of_its_instant(shop):
    subscription = subscribed(shop)
    changed(shop, to_plan="pro", at=at(16))
    issued(subscription)
    used(shop.customer, MeterRow.objects.get(key="tokens"), "100", at=at(10))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "1000", at=at(20))
    april = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))
    adjusting = {line.code: line.amount for line in state_of(shop, april).lines if line.adjusts}
    assert adjusting == {"calls@starter-v1": D("1.00"), "calls": D("2.00")}


def test_nothing_is_held_before_the_start_or_after_the_end(shop):
    subscribed(shop)
    assert refused(changed, shop, quantity=D(2), at=at(1) - timedelta(seconds=1)).code == "state_conflict"
    with clock_at(NOON):
        subscription_cancel(tenant=shop.tenant, code="sub-1", at=at(20))
    assert refused(changed, shop, quantity=D(2), at=at(20)).code == "state_conflict"
    assert refused(changed, workspaces.workspace("other"), quantity=D(2)).code == "not_found"


# --- pause


def test_a_pause_is_not_billed(shop):
    # Held 1 to 11 and 21 to 31 March: 10 and 11 of 31 days of 31.00. The calls of the pause are free and no issue.
    subscribed(shop)
    for day, to in ((11, "PAUSED"), (21, "ACTIVE")):
        with clock_at(at(day)):
            subscription_move(tenant=shop.tenant, code="sub-1", to=to)
    used(shop.customer, MeterRow.objects.get(key="tokens"), "100", at=at(5))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "1000", at=at(15))
    assert lines(shop) == [
        ("PRORATION", "base", 1, D("10.00")),
        ("PRORATION", "base", 1, D("11.00")),
        ("USAGE_FEE", "calls", 100, D("1.00")),
    ]
    assert state_of(shop).issues == ()


def test_a_period_that_is_paused_from_end_to_end_has_no_invoice(shop):
    subscription = subscribed(shop, starts_on=date(2026, 2, 1))
    with clock_at(at(1)):
        subscription_move(tenant=shop.tenant, code="sub-1", to="PAUSED")
    assert invoice_draft(tenant=shop.tenant, subscription_id=subscription.pk, period=MARCH) is None


def test_a_pause_inside_what_is_invoiced_is_refused(shop):
    issued(subscribed(shop))
    with clock_at(MARCH.end):
        problem = refused(subscription_move, tenant=shop.tenant, code="sub-1", to="PAUSED", at=at(31))
        assert problem.code == "state_conflict"
        subscription_move(tenant=shop.tenant, code="sub-1", to="PAUSED")


# --- bundles


@pytest.fixture
def bundle(shop) -> workspaces.Workspace:
    catalogs.published(shop.tenant, "support", charges=[a_fee("15.50", "support")])
    offering_create(
        tenant=shop.tenant,
        code="suite",
        name="Suite",
        plans=["starter", "support"],
        kind=Offering.Kind.BUNDLE,
    )
    return shop


def test_a_bundle_bills_all_of_its_plans_on_one_invoice(bundle):
    subscribed(bundle, offering="suite", plan=None)
    assert lines(bundle) == [
        ("CHARGE", "base", 1, D("31.00")),
        ("USAGE_FEE", "calls", 0, D("0.00")),
        ("CHARGE", "support", 1, D("15.50")),
    ]


def test_each_plan_of_a_bundle_changes_by_itself(bundle):
    subscribed(bundle, offering="suite", plan=None)
    assert (
        refused(changed, bundle, quantity=D(2)).detail
        == "plan is missing; the subscription holds starter, support."
    )
    assert list(refused(changed, bundle, plan="support", to_plan="starter").facts["errors"]) == ["to_plan"]
    changed(bundle, plan="support", quantity=D(3), at=at(16))
    # 15.50 × 15/31 = 7.50, then 3 × 15.50 × 16/31 = 24.00.
    assert [(code, quantity, amount) for _, code, quantity, amount in lines(bundle)] == [
        ("base", 1, D("31.00")),
        ("calls", 0, D("0.00")),
        ("support", 1, D("7.50")),
        ("support", 3, D("24.00")),
    ]


def test_plans_of_a_bundle_have_charges_of_different_codes(shop):
    offering_create(
        tenant=shop.tenant, code="suite", name="Suite", plans=["starter", "pro"], kind=Offering.Kind.BUNDLE
    )
    problem = refused(subscribed, shop, offering="suite", plan=None)
    assert problem.detail.startswith("The rate plans 'pro' and 'starter' both have a charge 'base';")
    assert list(refused(subscribed, shop, offering="suite", plan="pro").facts["errors"]) == ["plan"]


# --- trials


def test_nothing_of_a_trial_is_billed(shop):
    # Ten days from 1 March: billed from 11 March on, 21 of 31 days of 31.00.
    subscription = subscribed(shop, trial_days=10)
    assert subscription.state == "ACTIVE"
    used(shop.customer, MeterRow.objects.get(key="tokens"), "1000", at=at(5))
    used(shop.customer, MeterRow.objects.get(key="tokens"), "100", at=at(15))
    assert lines(shop) == [("PRORATION", "base", 1, D("21.00")), ("USAGE_FEE", "calls", 100, D("1.00"))]
    assert state_of(shop).issues == ()


def test_a_trial_begins_and_ends_by_the_clock(shop):
    with clock_at(at(1)):
        subscription = catalogs.subscribed(
            shop.tenant, offering="api", plan="starter", starts_on=date(2026, 3, 2), trial_days=30
        )
        assert subscription.state == "CREATED"
    for instant, state in (
        (at(2), "TRIALING"),
        (at(31), "TRIALING"),
        (datetime(2026, 4, 1, tzinfo=UTC), "ACTIVE"),
    ):
        with clock_at(instant):
            subscriptions_advance(tenant=shop.tenant, as_of=instant)
            assert subscriptions_advance(tenant=shop.tenant, as_of=instant) == 0
        subscription.refresh_from_db()
        assert subscription.state == state
    assert [phase.after for phase in subscription.phases.all()] == ["CREATED", "TRIALING", "ACTIVE"]
    assert subscription.phases.last().moved_at == datetime(2026, 4, 1, tzinfo=UTC)


def test_a_period_inside_a_trial_has_no_invoice_though_its_subscription_is_looked_at(shop):
    subscription = subscribed(shop, trial_days=90)
    window = {"starts_on": date(2026, 3, 1), "ends_on": date(2026, 4, 1)}
    assert list(subscriptions_billed_in(shop.tenant, **window)) == [subscription]
    assert invoice_draft(tenant=shop.tenant, subscription_id=subscription.pk, period=MARCH) is None


def test_a_trial_ends_at_its_local_time_of_day_across_a_change_of_the_clock(shop):
    workspaces.customer(shop.tenant, "cust_ny", timezone="America/New_York")
    subscription = subscribed(shop, customer="cust_ny", trial_days=30)
    # Midnight in New York is 05:00Z on 1 March, and 04:00Z on the 31st.
    assert subscription.starts_at == at(1, 5)
    assert subscription.items.get().trial_ends_at == at(31, 4)


# --- intervals


@pytest.mark.parametrize(
    ("interval", "alignment", "anchor", "period"),
    [
        ("quarter", "anniversary", date(2026, 3, 10), (date(2026, 3, 10), date(2026, 6, 10))),
        ("quarter", "calendar", date(2026, 1, 1), (date(2026, 1, 1), date(2026, 4, 1))),
        ("year", "calendar", date(2026, 1, 1), (date(2026, 1, 1), date(2027, 1, 1))),
        ("month", "calendar", date(2026, 3, 1), (date(2026, 3, 1), date(2026, 4, 1))),
    ],
)
def test_an_interval_and_its_anchor_are_pinned_at_the_start(shop, interval, alignment, anchor, period):
    offering_create(
        tenant=shop.tenant, code="o", name="O", plans=["starter"], interval=interval, alignment=alignment
    )
    subscription = subscribed(shop, offering="o", plan=None, starts_on=date(2026, 3, 10))
    Offering.objects.update(interval="month", alignment="anniversary")
    subscription.refresh_from_db()
    found = subscription_cycle(subscription).period_at(NOON)
    assert (subscription.interval, subscription.anchor_on) == (interval, anchor)
    assert (found.start.date(), found.end.date()) == period


def test_a_calendar_quarter_bills_the_days_from_the_start(shop):
    offering_create(
        tenant=shop.tenant, code="o", name="O", plans=["starter"], interval="quarter", alignment="calendar"
    )
    subscribed(shop, offering="o", plan=None, starts_on=date(2026, 3, 10))
    quarter = Period(datetime(2026, 1, 1, tzinfo=UTC), MARCH.end)
    # 10 March to 1 April is 22 of the quarter's 90 days: 31.00 × 22/90 = 7.577… -> 7.58.
    assert lines(shop, quarter)[0] == ("PRORATION", "base", 1, D("7.58"))
    problem = refused(catalogs.subscribed, shop.tenant, "sub-2", offering="o", anchor_on=date(2026, 3, 10))
    assert list(problem.facts["errors"]) == ["anchor_on"]


# --- setup fees and add-ons


APRIL = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))


def an_add_on(shop, **terms) -> None:
    catalogs.published(shop.tenant, "support", charges=[a_fee("15.50", "support")])
    offering_create(
        tenant=shop.tenant,
        code="support",
        name="Support",
        plans=["support"],
        kind=Offering.Kind.ADDON,
        **terms,
    )


def added(shop, **fields):
    with clock_at(NOON):
        return subscription_add(tenant=shop.tenant, code="sub-1", offering="support", **fields)


def removed(shop, **fields):
    with clock_at(NOON):
        return subscription_remove(tenant=shop.tenant, code="sub-1", offering="support", **fields)


def setup_lines(shop, cycle=MARCH):
    return [(line.code, line.amount) for line in state_of(shop, cycle).lines if line.kind == "SETUP_FEE"]


def test_a_setup_fee_is_due_once_whatever_is_paused_and_changed(shop):
    Offering.objects.update(setup_fee=D("99.00"))
    subscription = subscribed(shop)
    Offering.objects.update(setup_fee=D("5.00"))
    changed(shop, to_plan="pro", at=at(10))
    for day, to in ((11, "PAUSED"), (12, "ACTIVE")):
        with clock_at(at(day)):
            subscription_move(tenant=shop.tenant, code="sub-1", to=to)
    assert setup_lines(shop) == [("api", D("99.00"))]
    for _ in range(2):
        invoice_draft(tenant=shop.tenant, subscription_id=subscription.pk, period=MARCH)
    issued(subscription)
    assert (setup_lines(shop, APRIL), state_of(shop).lines[0].description) == ([], "Setup fee, API")


def test_a_setup_fee_is_due_when_the_trial_is_over_and_never_where_it_was_cancelled_before(shop):
    Offering.objects.update(setup_fee=D("99.00"))
    subscribed(shop, trial_days=31)
    assert (setup_lines(shop), setup_lines(shop, APRIL)) == ([], [("api", D("99.00"))])
    with clock_at(NOON):
        subscription_cancel(tenant=shop.tenant, code="sub-1", at=at(20))
    assert setup_lines(shop) == []


def test_an_add_on_is_billed_on_the_same_invoice_with_its_own_setup_fee_and_trial(shop):
    an_add_on(shop, setup_fee=D("20.00"), trial_days=5)
    subscribed(shop)
    added(shop, at=at(11), quantity=D(2))
    # Billed from the 16th on: 2 × 15.50 × 16/31 = 16.00.
    assert [(code, amount) for _, code, _, amount in lines(shop)] == [
        ("support", D("20.00")),
        ("base", D("31.00")),
        ("calls", D("0.00")),
        ("support", D("16.00")),
    ]
    # 16 to 21 March is 5 of 31 days: 31.00 × 5/31 = 5.00.
    removed(shop, at=at(21))
    assert lines(shop)[-1] == ("PRORATION", "support", 2, D("5.00"))
    # Added again, it owes no second setup fee.
    added(shop, at=at(26), trial_days=0)
    assert setup_lines(shop) == [("support", D("20.00"))]
    assert lines(shop)[-1] == ("PRORATION", "support", 1, D("3.00"))


def test_what_is_no_add_on_or_is_held_already_is_refused(shop):
    an_add_on(shop)
    subscribed(shop)
    assert refused(removed, shop).code == "state_conflict"
    added(shop, at=at(11))
    assert (
        refused(added, shop, at=at(12)).detail
        == "The subscription 'sub-1' holds 'support' already; change it instead."
    )
    for service in (subscription_add, subscription_remove):
        problem = refused(service, tenant=shop.tenant, code="sub-1", offering="api")
        assert list(problem.facts["errors"]) == ["offering"]
    assert list(refused(subscribed, shop, offering="support", plan=None).facts["errors"]) == ["offering"]
    with clock_at(NOON):
        subscription_move(tenant=shop.tenant, code="sub-1", to="PAUSED")
    assert (
        refused(added, shop, at=at(16)).detail
        == "The subscription 'sub-1' holds nothing at 2026-03-16T00:00:00Z."
    )


# --- after the end


def test_late_usage_of_a_year_that_was_left_early_is_billed_in_the_months_after_it(shop):
    offering_create(tenant=shop.tenant, code="o", name="O", plans=["starter"], interval="year")
    subscription = subscribed(shop, offering="o", plan=None, starts_on=date(2025, 6, 1))
    with clock_at(NOON):
        subscription_cancel(tenant=shop.tenant, code="sub-1", at=at(1))
    year = Period(datetime(2025, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    issued(subscription, year)
    used(shop.customer, MeterRow.objects.get(key="tokens"), "700", at=datetime(2026, 2, 20, tzinfo=UTC))
    subscription.refresh_from_db()
    window = {"starts_on": date(2026, 6, 1), "ends_on": date(2026, 7, 1)}
    assert subscription in subscriptions_looked_after(shop.tenant, **window)
    (june,) = periods_after_end(subscription, **window)
    assert june == Period(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    assert lines(shop, june) == [("USAGE_FEE", "calls", 700, D("7.00"))]
