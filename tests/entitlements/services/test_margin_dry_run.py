"""A dry run says what enforcement then does, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import local_midnight
from entitlements.models import MarginEvent, MarginPolicy, MarginState
from entitlements.services.margin_dry_run import margin_dry_run
from entitlements.services.margin_guard import margins_evaluate
from tests.billing.builders import a_fee
from tests.entitlements.margins import Guarded, guarded

D = Decimal
APRIL_1 = datetime(2026, 4, 1, 9, tzinfo=UTC)
# Of 10 days in turn: thousands of calls a day.
CALLS = (10, 12, 3, 1, 40, 2, 2, 30, 9, 0)


@pytest.fixture
def acme(db: None) -> Guarded:
    """A call earns 0.01; it costs 0.0088, and 0.0102 from 10 March on, and 0.004 from 20 March on; 62.00 are the month's fee."""
    made = guarded(a_fee("62.00"))
    for day in range(31):
        if calls := CALLS[day % 10]:
            made.used(calls * 1000, datetime(2026, 3, 1, 15, tzinfo=UTC) + timedelta(days=day))
    march = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 10, 20)]
    made.costs("0.0088", march[0], ends_at=march[1])
    made.costs("0.0102", march[1], ends_at=march[2])
    made.costs("0.004", march[2])
    return made


@pytest.mark.parametrize("window", [{}, {"window": "DAYS", "window_days": 7}])
def test_the_same_days_enforced_are_the_same(acme: Guarded, window: dict[str, object]):
    draft = MarginPolicy(tenant=acme.tenant, code="draft", name="Draft", mode="ENFORCE", **window)
    run = margin_dry_run(tenant=acme.tenant, policy=draft, as_of=APRIL_1)
    (customer,) = run.customers
    assert len(customer.days) == 30
    # Nothing is written.
    assert not MarginState.objects.exists()

    acme.policy("draft", mode="ENFORCE", **window)
    enforced = []
    for day in customer.days:
        at = local_midnight(day.on + timedelta(days=1), acme.customer.zone) - timedelta.resolution
        with clock_at(at):
            margins_evaluate(tenant=acme.tenant)
        state = MarginState.objects.get(customer=acme.customer)
        enforced.append((day.on, state.standing(), state.revenue, state.cost))
    assert [(day.on, day.standing, day.revenue, day.cost) for day in customer.days] == [
        (on, standing, pytest.approx(revenue, abs=D("1e-9")), pytest.approx(cost, abs=D("1e-9")))
        for on, standing, revenue, cost in enforced
    ]
    # Up and down on the way, so that the comparison says something.
    assert len({standing.level for _, standing, _, _ in enforced}) >= 3
    assert MarginEvent.objects.filter(kind="RELEASED").exists()


@pytest.mark.django_db
def test_what_would_have_been_refused_and_saved():
    # From 10 March on each day 10 events of 1,000 units: 100.00 a day, which cost 110.00: -10 %, L3.
    acme = guarded()
    for day in range(10, 13):
        for hour in range(10):
            acme.used(1000, datetime(2026, 3, day, hour, tzinfo=UTC))
    acme.costs("0.011")
    draft = MarginPolicy(tenant=acme.tenant, code="draft", name="Draft", mode="ENFORCE")
    (customer,) = margin_dry_run(
        tenant=acme.tenant, policy=draft, days=3, as_of=datetime(2026, 3, 13, tzinfo=UTC)
    ).customers
    # The 10th is judged at its end; 10 events of each of the two days after it are refused, at 110.00 a day.
    assert [(day.standing.level, day.calls, day.withheld) for day in customer.days] == [
        *((3, 10, 0), (3, 10, 10), (3, 10, 10))
    ]
    assert (customer.cost_avoided, customer.revenue_kept) == (D(220), D(100))


def test_a_draft_stands_in_for_the_policy_of_its_customers(acme: Guarded):
    acme.policy("own", scope="CUSTOMER", owner="cust_abc")
    everyone = MarginPolicy(tenant=acme.tenant, code="draft", name="Draft")
    assert margin_dry_run(tenant=acme.tenant, policy=everyone, as_of=APRIL_1).customers == ()
    own = MarginPolicy(tenant=acme.tenant, code="draft", name="Draft", scope="CUSTOMER", owner="cust_abc")
    (customer,) = margin_dry_run(tenant=acme.tenant, policy=own, days=2, as_of=APRIL_1).customers
    assert [day.on for day in customer.days] == [date(2026, 3, 30), date(2026, 3, 31)]
