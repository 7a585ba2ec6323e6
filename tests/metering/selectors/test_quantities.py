"""Quantities of many customers at once: what usage_of says of each, whatever hours the period cuts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import Period, instant_text
from aforo.tenancy.models import Customer
from metering.batch import store
from metering.models import MeterRow
from metering.selectors.usage import Wanted, quantities_of, quantity_from_events, usage_of
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = (0, 10, 59, 60, 61, 119, 120, 150, 180, 239)


@pytest.fixture
def acme():
    """Two customers with events through four hours, and a meter of each kind."""
    made = workspace()
    customer(made.tenant, "cust_b")
    meter(made.tenant, "sum", "SUM", event_name="api.call")
    meter(
        made.tenant,
        "thousands",
        "SUM",
        event_name="api.call",
        conversion={"operation": "divide", "factor": "1000", "rounding": "up", "places": 0},
    )
    meter(
        made.tenant,
        "large",
        "COUNT",
        event_name="api.call",
        filters=[{"field": "quantity", "operator": "GREATER_THAN", "value": 3}],
    )
    meter(made.tenant, "peak", "MAX", event_name="api.call")
    meter(made.tenant, "distinct", "UNIQUE", event_name="api.call")
    with clock_at(START + timedelta(hours=5)):
        store(
            [
                submission(
                    made,
                    [
                        call(
                            f"{name}-{number}",
                            str(number + 1) + ".5",
                            customer_id=name,
                            timestamp=instant_text(START + timedelta(minutes=minutes)),
                        )
                        for name in ("cust_abc", "cust_b")
                        for number, minutes in enumerate(MINUTES)
                    ],
                )
            ]
        )
    return made


def wanted_of(acme, period: Period) -> list[Wanted]:
    return [
        Wanted(who.pk, row.meter(), period)
        for who in Customer.objects.of(acme.tenant)
        for row in MeterRow.objects.of(acme.tenant)
    ]


def test_an_hour_that_is_cut_counts_as_far_as_the_period_goes(acme):
    # From 00:10 to 02:00: minutes 10, 59, 60, 61, 119 -> 5 events of 2.5 to 6.5, 22.5 in all; 3 of them above 3.
    period = Period(START + timedelta(minutes=10), START + timedelta(minutes=120))
    found = {
        (one.customer_id, one.meter.key): quantity
        for one, quantity in zip(
            wanted_of(acme, period),
            quantities_of(tenant=acme.tenant, wanted=wanted_of(acme, period)),
            strict=True,
        )
    }
    of = acme.customer.pk
    assert [found[of, key] for key in ("api.call", "sum", "large", "peak", "distinct")] == [
        5, Decimal("22.5"), 4, Decimal("6.5"), 5,
    ]  # fmt: skip
    # 22.5 / 1,000, rounded up.
    assert found[of, "thousands"] == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 240), length=st.integers(0, 240))
def test_they_are_what_usage_and_events_say(acme, start, length):
    period = Period(START + timedelta(minutes=start), START + timedelta(minutes=start + length))
    wanted = wanted_of(acme, period)
    for one, quantity in zip(wanted, quantities_of(tenant=acme.tenant, wanted=wanted), strict=True):
        (group,) = usage_of(
            tenant=acme.tenant,
            customer_id=one.customer_id,
            meter=one.meter,
            period=period,
            zone=ZoneInfo("UTC"),
        )
        assert quantity == group.quantity == quantity_from_events(tenant=acme.tenant, wanted=one)
