"""Which bills change where usage changes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aforo.kernel.periods import Period
from metering.ports import TouchedPeriod, invoice_impact
from tests.billing.builders import MARCH, a_fee, a_subscription, a_tenant, issued
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

APRIL = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))
A_CALL = {"code": "calls", "model": "PER_UNIT", "unit_price": Decimal("0.01")}


def touched(buyer, metric: str, *instants: datetime) -> list[TouchedPeriod]:
    return list(
        invoice_impact().periods_of(
            tenant_id=buyer.tenant_id, metric=metric, instants={buyer.pk: list(instants)}
        )
    )


@pytest.fixture
def buyer():
    return customer(a_tenant())


def test_an_invoiced_period_is_named_with_its_number_and_an_open_one_without(buyer):
    subscription = a_subscription(buyer, {**A_CALL, "meter": meter(buyer.tenant)})
    issued(subscription)

    found = touched(
        buyer,
        "api.call",
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 31, 23, tzinfo=UTC),
        APRIL.start,
    )

    assert found == [
        TouchedPeriod(buyer.pk, "sub_1", MARCH, "INV-000001"),
        TouchedPeriod(buyer.pk, "sub_1", APRIL),
    ]
    assert [one.is_open for one in found] == [False, True]


def test_only_who_charges_for_the_metric_at_that_time_is_touched(buyer):
    calls = meter(buyer.tenant)
    # Listens to api.call under a name of its own.
    errors = meter(buyer.tenant, "errors", event_name="api.call")
    a_subscription(buyer, a_fee(), code="fee-only")
    a_subscription(buyer, {**A_CALL, "meter": errors}, code="ended", ends_at=datetime(2026, 3, 5, tzinfo=UTC))
    a_subscription(
        buyer, {**A_CALL, "meter": calls}, code="begun", starts_at=datetime(2026, 3, 20, tzinfo=UTC)
    )
    a_subscription(customer(buyer.tenant, "cust_two"), {**A_CALL, "meter": calls}, code="of-another")

    def of(day: int) -> list[str]:
        return [one.subscription for one in touched(buyer, "api.call", datetime(2026, 3, day, tzinfo=UTC))]

    assert (of(4), of(10), of(20)) == (["ended"], [], ["begun"])
    assert touched(buyer, "errors", datetime(2026, 3, 4, tzinfo=UTC)) == []


def test_a_level_belongs_to_the_invoices_after_it_too(buyer):
    seats = meter(buyer.tenant, "seats", "WEIGHTED_SUM")
    subscription = a_subscription(buyer, {**A_CALL, "meter": seats})
    issued(subscription)

    (february, march) = touched(buyer, "seats", datetime(2026, 2, 10, tzinfo=UTC))

    assert (february.is_open, march.invoice) == (True, "INV-000001")
