"""The guard at work: revenue by billing's rating, cost by rates and imports, and what is written when a level changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.audit.models import AuditEntry
from aforo.audit.selectors import audit_verify
from aforo.outbox.models import Fact
from billing.models import Charge
from entitlements.margin import MarginStanding
from entitlements.models import MarginEvent, MarginState
from entitlements.selectors.margin import margin_standing
from entitlements.services.margin_guard import TRIPPED, margins_evaluate
from entitlements.services.margins import costs_import, margin_policy_edit
from entitlements.services.touched import TOUCHED
from tests.billing.builders import a_fee, tampering
from tests.entitlements.margins import MARCH_20, Guarded, guarded
from tests.workspaces import customer

D = Decimal


@pytest.fixture
def acme(db: None) -> Guarded:
    return guarded()


def judged(acme: Guarded, at: datetime = MARCH_20) -> MarginState:
    margins_evaluate(tenant=acme.tenant, as_of=at)
    return MarginState.objects.get(customer=acme.customer)


def told(topic: str) -> int:
    return Fact.objects.filter(topic=topic).count()


def test_revenue_of_2000_and_cost_of_3200_is_minus_60_percent_and_blocks(acme: Guarded):
    # 200,000 calls at 0.01 = 2,000; at 0.016 they cost 3,200.
    acme.used(200_000)
    acme.costs("0.016")
    acme.policy(mode="ENFORCE")
    before = told(TOUCHED)
    state = judged(acme)
    assert (state.revenue, state.cost, state.percent, state.level) == (D(2000), D(3200), D(-60), 3)
    assert margin_standing(acme.tenant, [acme.customer.pk]) == {
        acme.customer.pk: MarginStanding(level=3, action="block", retry_after_s=1800)
    }
    # The publisher is told once, webhooks once.
    assert (told(TOUCHED) - before, told(TRIPPED)) == (1, 1)
    assert list(MarginEvent.objects.order_by("id").values_list("kind", "level", "action")) == [
        ("TRIPPED", 3, "block"),
        ("ENFORCED", 3, "block"),
    ]
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        *("cost_rate.created", "margin_policy.created", "margin.tripped", "margin.enforced")
    }
    # Judged again, nothing is told again.
    judged(acme, MARCH_20 + timedelta(minutes=10))
    assert (told(TOUCHED) - before, MarginEvent.objects.count()) == (1, 2)
    assert audit_verify(acme.tenant).first_wrong is None


def test_a_policy_that_alerts_warns_and_lets_everything_through(acme: Guarded):
    acme.used(200_000)
    acme.costs("0.016")
    acme.policy()
    assert (judged(acme).level, judged(acme).action) == (3, "warn")
    # Enforced, the same level blocks; in alert again, it is released.
    margin_policy_edit(tenant=acme.tenant, actor="ada", code="standard", mode="ENFORCE")
    assert judged(acme).action == "block"
    margin_policy_edit(tenant=acme.tenant, actor="ada", code="standard", mode="ALERT")
    assert judged(acme).action == "warn"
    assert list(MarginEvent.objects.order_by("id").values_list("kind", flat=True)) == [
        *("TRIPPED", "ENFORCED", "RELEASED")
    ]


def test_a_level_is_released_past_the_hysteresis_by_further_revenue(acme: Guarded):
    # 1,000 of revenue, 910 imported: 9 %, L2. Each day more calls, at no cost.
    acme.used(100_000)
    costs(acme, "910")
    acme.policy(mode="ENFORCE")
    assert (judged(acme).level, judged(acme).throttle_percent, judged(acme).retry_after_s) == (2, 50, 60)
    # 1,060: 150 / 1,060 = 14.15 %, above the floor of 10 and below 15.
    acme.used(6_000, datetime(2026, 3, 20, 12, tzinfo=UTC))
    assert judged(acme, datetime(2026, 3, 20, 12, 30, tzinfo=UTC)).level == 2
    # 1,080: 170 / 1,080 = 15.74 %, L1.
    acme.used(2_000, datetime(2026, 3, 20, 13, tzinfo=UTC))
    assert judged(acme, datetime(2026, 3, 20, 13, 30, tzinfo=UTC)).level == 1
    # 1,220: 310 / 1,220 = 25.4 %, none.
    acme.used(14_000, datetime(2026, 3, 20, 14, tzinfo=UTC))
    state = judged(acme, datetime(2026, 3, 20, 14, 30, tzinfo=UTC))
    assert (state.level, state.action) == (0, "none")
    assert margin_standing(acme.tenant, [acme.customer.pk]) == {}


def test_l2_serves_something_cheaper_where_the_policy_knows_it(acme: Guarded):
    acme.used(100_000)
    costs(acme, "910")
    acme.policy(mode="ENFORCE", downgrades={"gpt-4o": "gpt-4o-mini"})
    judged(acme)
    (standing,) = margin_standing(acme.tenant, [acme.customer.pk]).values()
    assert standing == MarginStanding(level=2, action="downgrade", downgrades={"gpt-4o": "gpt-4o-mini"})


def test_a_policy_of_the_customer_comes_before_its_plans_and_that_before_the_global_one(acme: Guarded):
    acme.used(100_000)
    costs(acme, "850")  # 15 %
    acme.policy("all")
    assert judged(acme).policy.code == "all"
    acme.policy("plan", scope="PLAN", owner="plan-sub_1", floor_1="15", floor_2="5")
    assert (judged(acme).policy.code, judged(acme).level) == ("plan", 1)  # held by 5 points
    acme.policy("own", scope="CUSTOMER", owner="cust_abc", floor_1="8", floor_2="4")
    assert (judged(acme).policy.code, judged(acme).level) == ("own", 0)
    margin_policy_edit(tenant=acme.tenant, actor="ada", code="own", is_active=False)
    assert judged(acme).policy.code == "plan"


def test_customers_without_news_are_left_alone_for_ten_minutes(acme: Guarded):
    acme.used(100_000)
    acme.policy()
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20) == 1
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20 + timedelta(seconds=10)) == 0
    acme.used(1, MARCH_20)
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20 + timedelta(seconds=20)) == 1
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20 + timedelta(seconds=30)) == 0
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20 + timedelta(seconds=620)) == 1


def test_without_a_policy_nobody_is_judged_and_who_was_is_released(acme: Guarded):
    acme.used(200_000)
    acme.costs("0.016")
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20) == 0
    acme.policy(mode="ENFORCE")
    assert judged(acme).level == 3
    margin_policy_edit(tenant=acme.tenant, actor="ada", code="standard", is_active=False)
    assert (judged(acme).level, judged(acme).policy) == (0, None)
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20 + timedelta(hours=1)) == 0


def test_a_currency_without_a_rate_is_said_and_leaves_the_level_as_it_is(acme: Guarded):
    acme.used(200_000)
    acme.costs("0.016", currency="EUR")
    acme.policy(mode="ENFORCE")
    state = judged(acme)
    assert (state.level, state.issue) == (0, "No exchange rate from EUR to USD for 2026-03-20.")


def test_what_billing_cannot_rate_is_said_and_the_others_are_judged_all_the_same(acme: Guarded):
    acme.policy(mode="ENFORCE")
    acme.used(200_000)
    acme.costs("0.016")
    other = customer(acme.tenant, "other")
    with tampering():
        Charge.objects.update(unit_price=None)
    assert margins_evaluate(tenant=acme.tenant, as_of=MARCH_20) == 2
    state = MarginState.objects.get(customer=acme.customer)
    assert (state.level, state.issue[:5]) == (0, "calls")
    assert MarginState.objects.get(customer=other).issue == ""


@pytest.mark.django_db
def test_fees_accrue_evenly_over_the_period():
    # A fee of 310.00 in March, half of it by noon of the 16th; 10,000 calls at 0.01.
    acme = guarded(a_fee("310.00"))
    acme.used(10_000)
    acme.policy()
    state = judged(acme, datetime(2026, 3, 16, 12, tzinfo=UTC))
    assert state.revenue == D("155") + D("100")


def costs(acme: Guarded, amount: str, on: date = date(2026, 3, 5)) -> None:
    row = {
        "customer": "cust_abc",
        "on": on,
        "amount": D(amount),
        "source": "cloud",
        "external_key": f"{on}",
    }
    costs_import(tenant=acme.tenant, actor="ada", rows=[row])
