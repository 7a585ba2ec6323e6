"""What was counted twice, or went missing, before it could be priced."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import instant_text
from billing.services.invoices import invoice_draft, invoice_issue, invoice_preview
from billing.services.verification import invoice_verify
from metering.batch import store
from metering.models import LogPosition
from metering.writer import Writer
from tests.billing.builders import MARCH, a_subscription
from tests.metering.rows import append, call, submission, tally
from tests.workspaces import customer, meter, workspace

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P22", "P15")]

NUMBERS = count()
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MODELS = ("large", "small", "")
EVENT = st.tuples(
    st.integers(0, 12),  # which key: many of them come more than once
    st.sampled_from(MODELS),
    st.sampled_from(("llm.request", "search")),
    st.integers(1, 9),
)


@pytest.fixture
def acme():
    return workspace()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENT, min_size=1, max_size=30), batch=st.integers(1, 7))
def test_duplicates_filters_and_metrics_bill_each_event_in_each_charge_it_belongs_to_once(
    acme, events, batch
):
    """Lago #4418, #4725, #5334: duplicates sorted out by the query lost good rows and counted others in several filters."""
    name = f"run{next(NUMBERS)}"
    tokens = meter(acme.tenant, f"{name}.tokens", "SUM", event_name=f"{name}.llm.request", group_by=["model"])
    calls = meter(acme.tenant, f"{name}.calls", "COUNT", event_name=f"{name}.llm.request")
    searches = meter(acme.tenant, f"{name}.searches", "COUNT", event_name=f"{name}.search")
    price = {"model": "PER_UNIT", "unit_price": Decimal(1)}
    subscription = a_subscription(
        customer(acme.tenant, name),
        *(
            {
                "code": f"tokens-{value or 'none'}",
                "meter": tokens,
                "dimension_filters": {"model": value},
                **price,
            }
            for value in MODELS
        ),
        {"code": "calls", "meter": calls, **price},
        {"code": "searches", "meter": searches, **price},
        code=name,
    )
    bodies = [
        call(
            f"{name}-{key}", quantity, metric=f"{name}.{metric}", customer_id=name,
            timestamp=instant_text(NOON), model=model,
        )
        for key, model, metric, quantity in events
    ]  # fmt: skip
    with clock_at(NOON):
        for first in range(0, len(bodies), batch):
            store([submission(acme, bodies[first : first + batch])])

    # By hand: the first event under a key stands, whatever comes under it later.
    stands = {key: rest for key, *rest in reversed(events)}
    expected = Counter()
    for model, metric, quantity in stands.values():
        if metric == "llm.request":
            expected[f"tokens-{model or 'none'}"] += quantity
            expected["calls"] += 1
        else:
            expected["searches"] += 1
    with clock_at(NOON + timedelta(days=1)):
        lines = invoice_preview(tenant=acme.tenant, subscription_code=subscription.code).lines
    assert {line.code: line.amount for line in lines if line.amount} == expected


def test_a_retry_that_leaves_out_the_time_is_still_the_same_event(acme):
    """Flexprice: the server filled in a missing time, and the identity contained it."""
    subscription = a_subscription(
        acme.customer, {"code": "calls", "meter": acme.meter, "model": "PER_UNIT", "unit_price": Decimal(1)}
    )
    with clock_at(NOON):
        store([submission(acme, call("k1"))])
    with clock_at(NOON + timedelta(hours=7)):
        store([submission(acme, call("k1"))])
        store([submission(acme, call("k2"))])  # liveness: another event of the same content counts
    assert tally(acme) == {"received": 3, "accepted": 2, "duplicates": 1}
    with clock_at(NOON + timedelta(days=1)):
        assert invoice_preview(tenant=acme.tenant, subscription_code=subscription.code).invoice.total == 2


def test_an_event_of_the_last_moment_stays_in_its_month_whenever_it_comes(acme):
    """An event that came after the close was given the next cycle's date, and its tiers."""
    tiers = [(Decimal(2), Decimal(10)), (None, Decimal(1))]
    subscription = a_subscription(
        acme.customer, {"code": "calls", "meter": acme.meter, "model": "GRADUATED", "tiers": tiers}
    )
    last = MARCH.end - timedelta(microseconds=1)
    with clock_at(NOON):
        store([submission(acme, [call("k1"), call("k2")])])
    # Before the close, a minute late: March's third call, in its second tier. 2 x 10.00 + 1.00.
    with clock_at(MARCH.end + timedelta(minutes=1)):
        store([submission(acme, call("k3", timestamp=instant_text(last)))])
        march = invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=MARCH)
        march = invoice_issue(tenant=acme.tenant, invoice_id=march.pk)
    assert march.total == Decimal("21.00")
    # After it: on April's invoice, at the price that it would have had in March. At April's first tier it were 10.00.
    with clock_at(MARCH.end + timedelta(hours=5)):
        store([submission(acme, call("k4", timestamp=instant_text(last)))])
        (line,) = (
            line
            for line in invoice_preview(tenant=acme.tenant, subscription_code=subscription.code).lines
            if line.amount
        )
    assert (line.amount, line.adjusts) == (Decimal("1.00"), march.number)
    assert invoice_verify(march) == []


def test_a_position_that_goes_back_reads_everything_again_and_counts_it_once(acme, redis_empty):
    """redis #7105, #5433: a consumer's position went back after a restart or a failover."""
    subscription = a_subscription(
        acme.customer, {"code": "calls", "meter": acme.meter, "model": "PER_UNIT", "unit_price": Decimal(1)}
    )
    with clock_at(NOON):
        for number in range(10):
            append(acme, [call(f"k{number}-{each}") for each in range(5)])
        Writer(0).drain()
        LogPosition.objects.update(last_id="0-0")
        append(acme, call("last"))
        Writer(0).drain()
    assert tally(acme) == {"received": 51, "accepted": 51, "copies": 50}
    with clock_at(NOON + timedelta(days=1)):
        assert invoice_preview(tenant=acme.tenant, subscription_code=subscription.code).invoice.total == 51
